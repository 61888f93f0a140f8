-- What the api does to the jobs' table, as two functions that run as the owner: in one transaction it locks the
-- recipients and learns what it must know to decide, and then adds the jobs that it let in. Two statements for a batch
-- however large, one row written per recipient beside the job, no look at the history; and the api needs no right to a table.

-- The quotas of a recipient and one client lie in the recipient's row: there are never more of them than the recipient's
-- own quota lets in.
delete from recipient_quotas where key like '% %';
alter table recipient_quotas
  add column clients jsonb not null default '{}',
  add column last_recipient text,
  add column last_callback_url text,
  add column last_at timestamptz;
comment on table recipient_quotas is
  'Mail quotas per recipient, and per recipient and client. To let a person ask again at once, delete the row of the mailbox.';
comment on column recipient_quotas.key is 'The mailbox, see email_jobs.mailbox.';
comment on column recipient_quotas.tats is
  'Theoretical arrival time per window of RECIPIENT_RATE_LIMIT, in the order of the setting. In the past: the window is unused.';
comment on column recipient_quotas.clients is
  'The same for each client''s network of late, for RECIPIENT_CLIENT_RATE_LIMIT: {"203.0.113.7": [time, …]}.';
comment on column recipient_quotas.last_recipient is 'Address of the newest job.';
comment on column recipient_quotas.last_callback_url is
  'Callback URL of the newest job. The same request again within DUPLICATE_WINDOW is a double click, whatever became of the job: one that failed because nobody has that address must count as one that was sent does, or the quota that a repeat takes would tell who has an account.';
comment on column recipient_quotas.last_at is 'When the newest job was accepted.';

-- Locks the rows of these mailboxes, in the order of their bytes, so that no two callers wait for each other in a circle;
-- and tells which of these addresses are suppressed. A mailbox without a row has used nothing; its row is made by
-- email_add_jobs, and whoever makes it second begins again.
create function email_lock_recipients(mailboxes text[], addresses text[])
returns table (
  key text, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text, last_at timestamptz,
  suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with locked as (
    select quota.* from recipient_quotas as quota where quota.key = any(mailboxes) order by quota.key collate "C" for update
  )
  select
    locked.key, locked.tats, locked.clients, locked.last_recipient, locked.last_callback_url, locked.last_at, null::text,
    null::timestamptz
  from locked
  union all
  select
    suppressed.recipient, '{}'::timestamptz[], '{}'::jsonb, null, null, null, suppressed.reason, suppressed.until
  from suppressed_recipients as suppressed
  where suppressed.recipient = any(addresses) and suppressed.until > clock_timestamp();
end $$;
comment on function email_lock_recipients is
  'For the api: locks recipients for an enqueue, and tells their quotas, their last request, and who is suppressed.';

-- Moves quotas on, and then adds jobs, in their order: those that are queued end the waiting job of their recipient and
-- take its place in the queue, the others are history at once. The recipients must be locked, and of
-- several queued jobs of one recipient only the last may be queued.
create function email_add_jobs(
  quota_keys text[], quota_tats text[], quota_clients jsonb[], quota_is_known boolean[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], request_ids text[],
  traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns void
language plpgsql as $$
declare
  superseded text[];
  places bigint[];
begin
  if true = any(quota_is_known) then
    update recipient_quotas as quota
    set tats = moved.tats::timestamptz[], clients = moved.clients, last_recipient = moved.last_recipient,
      last_callback_url = moved.last_callback_url, last_at = clock_timestamp()
    from unnest(quota_keys, quota_tats, quota_clients, quota_is_known, quota_recipients, quota_callback_urls)
      as moved (key, tats, clients, is_known, last_recipient, last_callback_url)
    where quota.key = moved.key and moved.is_known;
  end if;
  if false = any(quota_is_known) then
    insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
    select moved.key, moved.tats::timestamptz[], moved.clients, moved.last_recipient, moved.last_callback_url, clock_timestamp()
    from unnest(quota_keys, quota_tats, quota_clients, quota_is_known, quota_recipients, quota_callback_urls)
      as moved (key, tats, clients, is_known, last_recipient, last_callback_url)
    where not moved.is_known;
  end if;

  with gone as (
    delete from email_jobs_open as job
    using unnest(recipients, states) as added (recipient, state)
    where added.state = 'queued'
      and job.recipient = added.recipient
      and job.state in ('queued', 'retrying')
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
    -- nextval after the locks: of two requests of one recipient the later has the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents, states, codes, messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, request_id, traceparent, state, code, message, position)
    order by position
  ) as added;
end $$;
comment on function email_add_jobs is 'For the api: adds accepted requests as jobs, ends those that they supersede, and charges their recipients'' quotas.';

select outbox_runs_as_owner(routine)
from unnest(array['email_lock_recipients', 'email_add_jobs']::regproc[]::regprocedure[]) as routine;
