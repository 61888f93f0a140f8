-- An enqueue in two round trips instead of four, and without a lock held between them: it reads what is known of the
-- recipients, the api decides, and one statement writes, committed by itself, provided that the rows which the decision rests
-- on are still what was read. Else it is refused as a collision (40001) and done again. An api that freezes or goes
-- without a word holds up nobody.
drop function email_lock_recipients, email_add_jobs;

-- A mailbox without a row has used nothing; its row is made by email_add_jobs, and whoever makes it second begins again.
create function email_read_recipients(mailboxes text[], addresses text[])
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  select
    quota.key, quota.xmin::text::bigint, quota.tats, quota.clients, quota.last_recipient, quota.last_callback_url,
    quota.last_at, null::text, null::timestamptz
  from recipient_quotas as quota
  where quota.key = any(mailboxes)
  union all
  select
    suppressed.recipient, null, '{}'::timestamptz[], '{}'::jsonb, null, null, null, suppressed.reason, suppressed.until
  from suppressed_recipients as suppressed
  where suppressed.recipient = any(addresses) and suppressed.until > clock_timestamp();
end $$;
comment on function email_read_recipients is
  'For the api: the quotas of recipients with the version of each row, their last request, and who is suppressed.';

-- Moves quotas on, and then adds jobs, in their order: those that are queued end the waiting job of their recipient and
-- take its place in the queue, the others are history at once. Of several queued jobs of one recipient only the last may
-- be queued. The keys come in the order of their bytes, so that no two callers wait for each other in a circle.
--
-- A person's waiting job is found by the index of persons, as the index has it: (state = 'running') is false. Said as
-- state in ('queued', 'retrying') it could be found by the index of deadlines as well, and where statistics were of a
-- table that was all but empty, Postgres read the deadlines of all waiting jobs for each new one: 128 callers fell from
-- 18,000 to 500 requests a second as soon as connections were new, such as those of a second api.
create function email_add_jobs(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], request_ids text[],
  traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns void
language plpgsql as $$
declare
  known constant int := cardinality(array_remove(quota_versions, null));
  moved_on int;
  superseded text[];
  places bigint[];
begin
  if known > 0 then
    update recipient_quotas as quota
    set tats = moved.tats::timestamptz[], clients = moved.clients, last_recipient = moved.last_recipient,
      last_callback_url = moved.last_callback_url, last_at = clock_timestamp()
    from unnest(quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls)
      as moved (key, version, tats, clients, last_recipient, last_callback_url)
    where quota.key = moved.key and quota.xmin::text::bigint = moved.version;
    get diagnostics moved_on = row_count;
    if moved_on < known then
      raise exception 'a recipient''s quota has changed since it was read' using errcode = 'serialization_failure';
    end if;
  end if;
  if known < cardinality(quota_keys) then
    insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
    select moved.key, moved.tats::timestamptz[], moved.clients, moved.last_recipient, moved.last_callback_url, clock_timestamp()
    from unnest(quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls)
      as moved (key, version, tats, clients, last_recipient, last_callback_url)
    where moved.version is null;
  end if;

  with gone as (
    delete from email_jobs_open as job
    using unnest(recipients, states) as added (recipient, state)
    where added.state = 'queued'
      and job.recipient = added.recipient
      and (job.state = 'running') is false
    returning job
  ),
  ended as (
    insert into email_jobs as past
    select ended.*
    from gone,
      email_job_ended(
        gone.job, 'superseded', 'newer_request', 'A newer request of this recipient took its place.', statement_timestamp()) as ended
    returning past.recipient, past.place
  )
  select array_agg(recipient), array_agg(place) into superseded, places from ended;

  insert into email_jobs (
    id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at, request_id,
    traceparent, place, seq)
  select
    id, state, recipient, mailbox, callback_url, code, message, now, now, now + deadline,
    case when state = 'queued' then 'infinity' else now end,
    request_id, traceparent, coalesce(places[array_position(superseded, recipient)], seq), seq
  from (
    -- nextval after the rows of quotas are ours: of two requests of one recipient the later has the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents, states, codes, messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, request_id, traceparent, state, code, message, position)
    order by position
  ) as added;
end $$;
comment on function email_add_jobs is 'For the api: adds accepted requests as jobs, ends those that they supersede, and charges their recipients'' quotas, if these are as they were read.';

select outbox_runs_as_owner(routine)
from unnest(array['email_read_recipients', 'email_add_jobs']::regproc[]::regprocedure[]) as routine;
