-- Functions that create and drop the day partitions of the history, and that remove a person from all tables. The
-- partition functions run as the owner, so that neither the api nor the worker has to own the tables.

create function email_index_day(day regclass) returns void
language plpgsql as $$
begin
  execute format('create index %I on %s (recipient, created_at desc)', day || '_recipient', day);
  execute format('comment on index %I is %L', day || '_recipient', 'A person''s jobs of this day, newest first.');
end $$;
comment on function email_index_day is
  'Part of email_make_partitions(): creates the indexes of a day partition of email_jobs that email_jobs_open does not '
  'have.';

create function email_make_partitions(days_ahead integer) returns void
language plpgsql as $$
declare
  parent record;
  day date;
  name text;
begin
  for parent in
    select *
    from (values ('email_jobs', 'finished_at'), ('email_attempts', 'started_at'), ('email_events', 'received_at'))
      as given (relation, by_column)
  loop
    -- Start with yesterday: an attempt may start before midnight and be stored after it.
    for n in -1..days_ahead loop
      day := (clock_timestamp() at time zone 'utc')::date + n;
      name := parent.relation || to_char(day, '_YYYYMMDD');
      continue when to_regclass(name) is not null;
      -- Take the lock of ATTACH now, and look again: it makes concurrent callers wait for each other, and only after
      -- taking it does a session see the partition that another one has just created.
      execute format('lock table %I in share update exclusive mode', parent.relation);
      continue when to_regclass(name) is not null;
      execute format('create table %I (like %I including all)', name, parent.relation);
      execute format(
        'comment on table %I is %L', name,
        format('The part of %s whose %s lies on %s (UTC).', parent.relation, parent.by_column, day));
      if parent.relation = 'email_jobs' then
        perform email_index_day(name::regclass);
      end if;
      perform outbox_out_of_reach(name::regclass);
      -- ATTACH does not block readers, and with a matching CHECK constraint it does not scan the table. Afterwards the
      -- partition's bounds imply the constraint.
      execute format(
        'alter table %1$I add constraint day_bounds check (%2$I >= %3$L and %2$I < %4$L)',
        name, parent.by_column, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
      execute format(
        'alter table %I attach partition %I for values from (%L) to (%L)',
        parent.relation, name, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
      execute format('alter table %I drop constraint day_bounds', name);
    end loop;
  end loop;
end $$;
comment on function email_make_partitions is
  'Creates the missing day partitions of email_jobs, email_attempts and email_events, from yesterday to days_ahead '
  'days from today (UTC). Workers call it every hour, the api every day, and both when a partition is missing.';

-- Dropping a partition needs an exclusive lock on the whole table. While the drop waits for readers, every other query
-- of the table waits behind it. So it gives up after 200 ms, and the next call tries again.
create function email_drop_partition(retention_days integer) returns table (name text, is_dropped boolean)
language plpgsql set lock_timeout = '200ms' as $$
begin
  if retention_days < 1 then
    raise exception 'history is kept for a day at least';
  end if;
  select child.relname into name
  from pg_inherits
  join pg_class as child on child.oid = inhrelid
  join pg_class as parent on parent.oid = inhparent
  where inhparent in ('email_jobs'::regclass, 'email_attempts'::regclass, 'email_events'::regclass)
    and child.relname ~ '_[0-9]{8}$'
    and to_date(right(child.relname, 8), 'YYYYMMDD') < (clock_timestamp() at time zone 'utc')::date - retention_days
  order by parent.relname, child.relname
  limit 1;
  if name is null then
    return;
  end if;
  begin
    execute format('drop table %I', name);
    is_dropped := true;
  exception when lock_not_available then
    is_dropped := false;
  end;
  return next;
end $$;
comment on function email_drop_partition is
  'Drops one day partition that ended more than retention_days days ago (at least 1). Returns its name and whether it '
  'was dropped: false if it was in use for 200 ms. Returns no row if there is nothing to drop. Workers call it every '
  'hour.';

create function email_mailbox(address text) returns text
language sql immutable strict as $$
  select case
    when host in ('gmail.com', 'googlemail.com') and untagged ~ '[^.]' then replace(untagged, '.', '') || '@gmail.com'
    else untagged || '@' || host
  end
  from (
    select
      -- If the local part starts with +, it has no tag.
      coalesce(nullif(split_part(local, '+', 1), ''), local) as untagged,
      host
    from (select split_part(address, '@', 1) as local, split_part(address, '@', 2) as host) as parts
  ) as names
$$;
comment on function email_mailbox is
  'Mailbox that an address in lower case reaches, as in email_jobs.mailbox: without +tag, and at gmail.com without '
  'dots (googlemail.com counts as gmail.com).';

create function email_forget(address text) returns table (relation text, rows bigint)
language plpgsql as $$
#variable_conflict use_column
declare
  person text := lower(trim(address));
  forgotten constant text := 'forgotten@invalid';
  jobs uuid[];
begin
  -- End the open jobs. A worker that holds one loses its lease, but may have handed the mail to Mailgun already.
  with gone as (
    delete from email_jobs_open as job where job.recipient = person returning job
  )
  insert into email_jobs
  select ended.*
  from gone, email_job_ended(gone.job, 'failed', 'forgotten', null, statement_timestamp()) as ended;

  jobs := array(select id from email_jobs where recipient = person);
  update email_jobs
  set recipient = forgotten,
    mailbox = forgotten,
    -- The query of the URL and a client's request id may identify the person.
    callback_url = split_part(callback_url, '?', 1),
    request_id = 'forgotten',
    traceparent = null,
    message = null
  where recipient = person;
  relation := 'email_jobs';
  get diagnostics rows = row_count;
  return next;

  update email_attempts set message = null where job_id = any(jobs) and message is not null;
  relation := 'email_attempts';
  get diagnostics rows = row_count;
  return next;

  update email_events set message = null, recipient_domain = split_part(forgotten, '@', 2) where job_id = any(jobs);
  relation := 'email_events';
  get diagnostics rows = row_count;
  return next;

  delete from email_events_unmatched where job_id = any(jobs);
  relation := 'email_events_unmatched';
  get diagnostics rows = row_count;
  return next;

  delete from email_reconciliations where job_id = any(jobs);
  relation := 'email_reconciliations';
  get diagnostics rows = row_count;
  return next;

  delete from recipient_quotas where key = email_mailbox(person);
  relation := 'recipient_quotas';
  get diagnostics rows = row_count;
  return next;

  delete from suppressed_recipients where recipient = person;
  relation := 'suppressed_recipients';
  get diagnostics rows = row_count;
  return next;

  delete from suppression_lifts where recipient = person;
  relation := 'suppression_lifts';
  get diagnostics rows = row_count;
  return next;
end $$;
comment on function email_forget is
  'Removes an address, and the texts reported about it, from all tables, and returns the number of affected rows per '
  'table. Open jobs of the address end as failed. Jobs, attempts and events stay as anonymous rows, so that counts '
  'remain correct. Data at Supabase and Mailgun are not touched.';

select outbox_runs_as_owner(routine)
from unnest(array['email_make_partitions', 'email_drop_partition']::regproc[]::regprocedure[]) as routine;
select outbox_out_of_reach(routine)
from unnest(array['email_index_day', 'email_mailbox', 'email_forget']::regproc[]::regprocedure[]) as routine;
