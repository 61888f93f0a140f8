-- Days are made and dropped by functions that run as the owner, so that neither program needs to own the tables.

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
    -- Yesterday's too: midnight may lie between an attempt's start and its row.
    for n in -1..days_ahead loop
      day := (clock_timestamp() at time zone 'utc')::date + n;
      name := parent.relation || to_char(day, '_YYYYMMDD');
      continue when to_regclass(name) is not null;
      -- The lock that ATTACH takes anyhow, earlier: only after a lock of a relation is it seen what others made.
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
      -- With a matching CHECK nothing is scanned and no reader waits; then the bounds say the same.
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
  'Makes the day partitions of email_jobs, email_attempts and email_events that are missing from yesterday to so many days ahead.';

-- Drops one day that ended more than so many days ago. Dropping waits for those who read the table, and everybody
-- else waits behind it: so it waits for a fifth of a second only, and the day goes at the next time.
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
  'Drops one day partition that ended more than so many days ago, and tells which; false if it is being read.';

-- What reaches one mailbox: without +tag, and at Gmail without dots.
create function email_mailbox(address text) returns text
language sql immutable strict as $$
  select case
    when host in ('gmail.com', 'googlemail.com') and untagged ~ '[^.]' then replace(untagged, '.', '') || '@gmail.com'
    else untagged || '@' || host
  end
  from (
    select
      -- A name that begins with + has no tag.
      coalesce(nullif(split_part(local, '+', 1), ''), local) as untagged,
      host
    from (select split_part(address, '@', 1) as local, split_part(address, '@', 2) as host) as parts
  ) as names
$$;
comment on function email_mailbox is 'The mailbox that an address (in lower case) reaches, as in email_jobs.mailbox.';

create function email_forget(address text) returns table (relation text, rows bigint)
language plpgsql as $$
#variable_conflict use_column
declare
  person text := lower(trim(address));
  forgotten constant text := 'forgotten@invalid';
  jobs uuid[];
begin
  -- Open jobs end: a worker that is at one finds its lease gone. It may have handed the mail over by then.
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
    -- What follows may name a person, and a request's id may too.
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
  'Removes an address, and what was said about it, from all tables, and tells how many rows held it. Jobs, attempts and events stay, as nobody''s, so that counts do. What Supabase and Mailgun keep is theirs to delete.';

select outbox_runs_as_owner(routine)
from unnest(array['email_make_partitions', 'email_drop_partition']::regproc[]::regprocedure[]) as routine;
select outbox_out_of_reach(routine)
from unnest(array['email_mailbox', 'email_forget']::regproc[]::regprocedure[]) as routine;
