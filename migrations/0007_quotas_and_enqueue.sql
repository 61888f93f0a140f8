-- Quotas, and the functions with which the api adds jobs.
--
-- An enqueue takes two statements, or one if all its recipients are new (email_add_newcomers). email_read_recipients
-- reads the recipients' quotas and suppressions, the api decides which requests to accept, and email_add_jobs writes
-- the result. No lock is held in between, so an api that freezes or disappears blocks nobody. email_add_jobs fails with
-- a serialization failure (40001) if a quota row has changed since it was read, and the api starts over. The functions
-- run as the owner, so the api's role need not be able to read or write rows. The cost does not depend on the size of
-- the history, and a batch of any size takes the same number of statements.

-- Quotas use the generic cell rate algorithm (GCRA). Each window of a quota has one theoretical arrival time (TAT). A
-- request moves the TAT on by window ÷ limit, and is accepted if it then lies at most one window ahead.
--
-- The row also serializes the writes of one mailbox: adding a job and putting one back to wait both write the row
-- before they look for the recipient's newest job.
create table recipient_quotas (
  key               text          primary key,
  tats              timestamptz[] not null default '{}',
  clients           jsonb         not null default '{}',
  last_recipient    text,
  last_callback_url text,
  last_at           timestamptz
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
comment on table recipient_quotas is
  'Mail quotas per mailbox, and per mailbox and client network. To let a person make requests again at once, delete '
  'the row of the mailbox. Workers delete rows that no longer limit anything.';
comment on column recipient_quotas.key is 'The mailbox, as in email_jobs.mailbox.';
comment on column recipient_quotas.tats is
  'Theoretical arrival time (TAT) of each window of RECIPIENT_RATE_LIMIT, in the order of the setting. A time in the '
  'past means that the window is unused. Empty if no request has been counted.';
comment on column recipient_quotas.clients is
  'The same for RECIPIENT_CLIENT_RATE_LIMIT, per client network: {"203.0.113.7": [time, …]}. Networks whose windows '
  'are all unused are removed when the next request is accepted.';
comment on column recipient_quotas.last_recipient is
  'Address of the last counted request, as in email_jobs.recipient. Null if there is none.';
comment on column recipient_quotas.last_callback_url is
  'Callback URL of the last counted request. Null if there is none. The same request again within DUPLICATE_WINDOW is '
  'a duplicate, whatever became of the first one. If a failed first request did not count, a repeat would use up quota '
  'exactly when nobody has the address, and so reveal who has an account.';
comment on column recipient_quotas.last_at is
  'When the last counted request was accepted, by Postgres''s clock. Null if there is none.';

-- A mailbox without a row has used no quota. email_add_jobs inserts its row; if two callers do so at once, the second
-- one fails with a unique violation (23505) and starts over.
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
  'The api calls it first in an enqueue. Returns one row per mailbox that has a quota row: its quotas, their version '
  '(the row''s xmin) and the last request; and one row per suppressed address: the reason and end of the suppression.';

-- Updates the quotas, then adds the jobs in the given order. A job in state queued supersedes the waiting job of its
-- recipient and takes its place in the queue; any other job goes to the history at once. If a batch has several
-- accepted requests of one recipient, only the last may be queued. The quota keys must be sorted by their bytes, so
-- that concurrent callers cannot deadlock.
--
-- The recipient's waiting job is found by the index email_jobs_open_recipient, so the condition is written as that
-- index has it: (state = 'running') is false. The condition state in ('queued', 'retrying') also matches the index on
-- deadlines. When the statistics dated from a nearly empty table, Postgres then read the deadlines of all waiting jobs
-- for each new one: with 128 callers, throughput fell from 18,000 to 500 requests per second as soon as new connections
-- were opened, such as those of a second api.
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
    -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
    -- one recipient gets the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents, states, codes, messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, request_id, traceparent, state, code, message, position)
    order by position
  ) as added;
end $$;
comment on function email_add_jobs is
  'The api calls it last in an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their '
  'recipients, and updates their quotas. Fails with 40001 or 23505 if the quota rows are not as '
  'email_read_recipients() returned them.';

-- When many people visit a site for the first time, most batches contain only mailboxes without a quota row. Such a
-- batch needs no decision and supersedes nothing, so one statement both checks and writes it: one round trip instead of
-- two, and half of the work. The mailboxes of a batch must be distinct.
--
-- An insert fails with a unique violation (23505) if another api has just added one of the mailboxes, or if a job of
-- one of the recipients still waits although its quota row was deleted by hand. The api then uses email_read_recipients
-- and email_add_jobs.
create function email_add_newcomers(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], client_networks text[], request_ids text[], traceparents text[], deadline interval)
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  now constant timestamptz := clock_timestamp();
  of_recipient timestamptz[];
  of_client jsonb;
begin
  return query
  select known.* from email_read_recipients(mailboxes, recipients) as known;
  if found then
    return;
  end if;

  -- The TATs after the first request, as the api's quota rule computes them: now plus window ÷ limit.
  select array_agg(now + quota order by position) into of_recipient
  from unnest(quota_intervals) with ordinality as given (quota, position);
  select jsonb_agg(now + quota order by position) into of_client
  from unnest(client_quota_intervals) with ordinality as given (quota, position);
  insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
  select mailbox, of_recipient, jsonb_build_object(client, of_client), recipient, callback_url, now
  from unnest(mailboxes, client_networks, recipients, callback_urls) as given (mailbox, client, recipient, callback_url)
  -- Sorted by bytes, like all writes of quota rows, so that concurrent callers cannot deadlock.
  order by mailbox collate "C";

  -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
  -- one recipient gets the larger seq.
  insert into email_jobs_open (
    id, recipient, mailbox, callback_url, created_at, run_at, deadline_at, request_id, traceparent, place, seq)
  select id, recipient, mailbox, callback_url, now, now, now + deadline, request_id, traceparent, seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents)
      with ordinality as given (id, recipient, mailbox, callback_url, request_id, traceparent, position)
    order by position
  ) as added;
end $$;
comment on function email_add_newcomers is
  'The api calls it for a batch of distinct mailboxes. If none of them has a quota row and none of the addresses is '
  'suppressed, adds the requests as jobs, sets their quotas and returns no rows. Otherwise adds nothing and returns '
  'what email_read_recipients() does. Fails with 23505 if another caller adds a mailbox at the same time, or if a '
  'recipient without a quota row has a waiting job.';

select outbox_out_of_reach('recipient_quotas'::regclass);
select outbox_runs_as_owner(routine)
from unnest(array['email_read_recipients', 'email_add_jobs', 'email_add_newcomers']::regproc[]::regprocedure[]) as routine;
