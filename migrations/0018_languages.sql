-- The language and the time zone of the person who asked, so that the mail is in that language and shows times in that zone. The
-- api chooses both from what the request says, and from closed lists. Enqueueing also returns the jobs that it supersedes, so
-- that the api can log a line for each finished job.

alter table email_jobs
  add column language text,
  add column time_zone text;
-- Not validated: the rows that exist have null, and a check of a long history would hold up the programs.
alter table email_jobs
  add constraint language_is_a_tag check (language ~ '^[a-zA-Z0-9]{1,8}(-[a-zA-Z0-9]{1,8}){0,7}$') not valid,
  add constraint time_zone_is_a_name check (time_zone ~ '^[A-Za-z0-9_+/-]{1,64}$') not valid;
comment on column email_jobs.language is
  'Language of the mail, a BCP 47 tag such as de. The api chooses it from the languages that mails can have. Null if the job was '
  'added by an api that did not know this column.';
comment on column email_jobs.time_zone is
  'Time zone in which the mail shows times, a name of the tz database such as Europe/Berlin. Null for UTC.';

create or replace function email_job_ended(job email_jobs_open, state text, code text, message text, finished_at timestamptz)
returns setof email_jobs
language sql stable as $$
  select
    job.id, email_job_ended.state, job.delivery, job.recipient, job.callback_url, job.attempt,
    email_job_ended.code, email_job_ended.message,
    job.created_at, job.run_at, job.attempted_at, job.deadline_at, email_job_ended.finished_at,
    job.request_id, job.traceparent, job.message_id, job.worker,
    null::bigint, null::timestamptz, job.link_created_at,
    job.mailbox, job.place, job.seq, null::bytea, job.delivery_at,
    job.probed_at, job.refused_at, job.suspected_upstream, job.suspect_attempts,
    job.shown_host, job.language, job.time_zone
$$;

create or replace function email_forget(address text) returns table (relation text, rows bigint)
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
    message = null,
    language = null,
    time_zone = null
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

-- As email_enqueue and email_enqueue_newcomers, with two more parameters. They have names of their own: a grant or revocation that
-- names no parameters fails if there are two functions of one name.
create function email_enqueue_batch(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], shown_hosts text[],
  languages text[], time_zones text[], request_ids text[], traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns table (job_id uuid, job_request_id text, attempts smallint, requested_at timestamptz)
language plpgsql as $$
declare
  known constant int := cardinality(array_remove(quota_versions, null));
  moved_on int;
  superseded text[];
  places bigint[];
  probes timestamptz[];
  refusals timestamptz[];
  suspicions text[];
  superseded_ids uuid[];
  superseded_request_ids text[];
  superseded_attempts smallint[];
  superseded_created_at timestamptz[];
begin
  if not outbox_suits('api') then
    raise exception 'these tables need a newer version of the program' using errcode = 'OB001';
  end if;
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
    returning
      past.recipient, past.place, past.probed_at, past.refused_at, past.suspected_upstream, past.id, past.request_id,
      past.attempt, past.created_at
  )
  select
    array_agg(recipient), array_agg(place), array_agg(probed_at), array_agg(refused_at), array_agg(suspected_upstream),
    array_agg(id), array_agg(request_id), array_agg(attempt), array_agg(created_at)
  into
    superseded, places, probes, refusals, suspicions,
    superseded_ids, superseded_request_ids, superseded_attempts, superseded_created_at
  from ended;

  insert into email_jobs (
    id, state, recipient, mailbox, callback_url, shown_host, language, time_zone, code, message, created_at, run_at,
    deadline_at, finished_at, request_id, traceparent, place, seq, probed_at, refused_at, suspected_upstream)
  select
    id, state, recipient, mailbox, callback_url, shown_host, language, time_zone, code, message, now, now, now + deadline,
    case when state = 'queued' then 'infinity' else now end,
    request_id, traceparent, coalesce(places[array_position(superseded, recipient)], seq), seq,
    -- The new job keeps these along with its place in the queue. Otherwise, each new request would reset them.
    case when state = 'queued' then probes[array_position(superseded, recipient)] end,
    case when state = 'queued' then refusals[array_position(superseded, recipient)] end,
    case when state = 'queued' then suspicions[array_position(superseded, recipient)] end
  from (
    -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
    -- one recipient gets the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(
      ids, recipients, mailboxes, callback_urls, shown_hosts, languages, time_zones, request_ids, traceparents, states, codes,
      messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, shown_host, language, time_zone, request_id, traceparent, state, code, message,
        position)
    order by position
  ) as added;

  return query
  select ended.* from unnest(superseded_ids, superseded_request_ids, superseded_attempts, superseded_created_at) as ended;
end $$;
comment on function email_enqueue_batch is
  'The api calls it last in an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their recipients, and '
  'updates their quotas. Returns the superseded jobs. Fails with 40001 or 23505 if the quota rows are not as '
  'email_read_recipients() returned them.';

create function email_enqueue_newcomer_batch(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], shown_hosts text[], languages text[], time_zones text[], client_networks text[], request_ids text[],
  traceparents text[], deadline interval)
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
  if not outbox_suits('api') then
    raise exception 'these tables need a newer version of the program' using errcode = 'OB001';
  end if;
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
    id, recipient, mailbox, callback_url, shown_host, language, time_zone, created_at, run_at, deadline_at, request_id,
    traceparent, place, seq)
  select
    id, recipient, mailbox, callback_url, shown_host, language, time_zone, now, now, now + deadline, request_id, traceparent,
    seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(ids, recipients, mailboxes, callback_urls, shown_hosts, languages, time_zones, request_ids, traceparents)
      with ordinality as given (
        id, recipient, mailbox, callback_url, shown_host, language, time_zone, request_id, traceparent, position)
    order by position
  ) as added;
end $$;
comment on function email_enqueue_newcomer_batch is
  'The api calls it for a batch of distinct mailboxes. If none of them has a quota row and none of the addresses is '
  'suppressed, adds the requests as jobs, sets their quotas and returns no rows. Otherwise adds nothing and returns what '
  'email_read_recipients() does. Fails with 23505 if another caller adds a mailbox at the same time, or if a recipient '
  'without a quota row has a waiting job.';

-- For apis of the previous version, for one release.
create or replace function email_enqueue(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], shown_hosts text[],
  request_ids text[], traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns void
language plpgsql as $$
begin
  perform email_enqueue_batch(
    quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls, ids, recipients, mailboxes,
    callback_urls, shown_hosts, null, null, request_ids, traceparents, states, codes, messages, deadline);
end $$;
comment on function email_enqueue is 'email_enqueue_batch() for apis that do not know email_jobs.language.';

create or replace function email_enqueue_newcomers(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], shown_hosts text[], client_networks text[], request_ids text[], traceparents text[],
  deadline interval)
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
begin
  return query
  select known.*
  from email_enqueue_newcomer_batch(
    quota_intervals, client_quota_intervals, ids, recipients, mailboxes, callback_urls, shown_hosts, null, null,
    client_networks, request_ids, traceparents, deadline) as known;
end $$;
comment on function email_enqueue_newcomers is
  'email_enqueue_newcomer_batch() for apis that do not know email_jobs.language.';

select outbox_runs_as_owner(routine)
from unnest(
  array['email_enqueue_batch', 'email_enqueue_newcomer_batch', 'email_enqueue', 'email_enqueue_newcomers']::regproc[]::regprocedure[])
  as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
begin
  if exists (select from pg_roles where rolname = 'magic_link_api') then
    grant execute on function email_enqueue_batch, email_enqueue_newcomer_batch to magic_link_api;
  end if;
end $$;
