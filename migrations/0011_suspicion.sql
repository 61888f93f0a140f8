-- Suspicion: an upstream fails for one recipient, and it is not known at first whether it fails for everybody. What the
-- workers know about that is in the upstream's row; what a job has met is in the job's.

alter table upstreams
  add column slow_since timestamptz,
  add column stopped_by text,
  add column checked_at timestamptz,
  add column suspects bytea[] not null default '{}',
  add column suspected_since timestamptz,
  add column last_success_at timestamptz,
  add column resumed_at timestamptz;
update upstreams set stopped_by = 'answer' where open_since is not null;
alter table upstreams
  drop constraint an_open_breaker_says_why,
  add constraint only_one_stop check (open_since is null or slow_since is null),
  add constraint stopped_by_is_known check (stopped_by in ('answer', 'check', 'suspects')),
  add constraint a_stop_says_why check (
    (open_since is null and slow_since is null) = (stopped_by is null)
    and (stopped_by is null) = (code is null) and (stopped_by is null) = (message is null)
    and (stopped_by is null) = (setting is null) and (stopped_by is null) = (probe_at is null)),
  add constraint suspects_have_a_time check ((cardinality(suspects) = 0) = (suspected_since is null));
comment on table upstreams is
  'One row per service that the workers call: its circuit breaker, its slow pace, its pause, and the recipients for whom '
  'it failed lately. All workers share the rows.';
comment on column upstreams.open_since is
  'When a worker opened the breaker. While it is open, workers claim only single jobs as probes. Null while the breaker '
  'is closed.';
comment on column upstreams.slow_since is
  'Since when the service has failed for everybody with 5xx or without an answer. Until it works again, workers claim only '
  'single jobs as probes, as with an open breaker. Null while it works.';
comment on column upstreams.stopped_by is
  'What began the breaker or slow pace: answer (the service said that a setting is wrong), check (a check call failed) or '
  'suspects (three recipients in a row had failures). Null while neither is in force.';
comment on column upstreams.code is
  'Machine-readable reason of the breaker or slow pace. Null while neither is in force.';
comment on column upstreams.message is
  'The reason for operators, and what to do about it. Null while neither the breaker nor the slow pace is in force.';
comment on column upstreams.setting is
  'Name of the setting to check, for example MAILGUN_API_KEY. Null while neither the breaker nor the slow pace is in '
  'force.';
comment on column upstreams.probe_at is
  'When a worker may next claim one job as a probe, to see whether the problem is fixed. Null while neither the breaker '
  'nor the slow pace is in force.';
comment on column upstreams.probes is
  'Number of probes since the breaker or slow pace began. 0 while neither is in force.';
comment on column upstreams.paused_until is
  'End of the pause that the service asked for by rate limiting (such as HTTP 429). Until then workers claim no jobs and, '
  'if the service is mailgun, send no mails. Null if it asked for none; a worker clears it when the pause is over.';
comment on column upstreams.checked_at is
  'When a worker last began a check call, which asks the service about itself without side effects. Null if none did.';
comment on column upstreams.suspects is
  'SHA-256 hashes of the recipients for whom the service failed although its check call succeeds. A success for another '
  'recipient clears them; the third one begins the breaker or the slow pace.';
comment on column upstreams.suspected_since is
  'When the call began that failed for the first of the suspects. Null if there are none.';
comment on column upstreams.last_success_at is
  'When the latest call began that succeeded while there were suspects. Null if there was none.';
comment on column upstreams.resumed_at is
  'When the call began whose success last ended a breaker or slow pace. Failures of earlier calls, which may be recorded '
  'later, count no more. Null if there was none.';

alter table email_jobs
  add column probed_at timestamptz,
  add column refused_at timestamptz,
  add column suspected_upstream text,
  add column suspect_attempts smallint not null default 0;
-- Not validated: the rows that exist have null, and a check of a long history would hold up the programs.
alter table email_jobs
  add constraint suspected_upstream_is_known check (suspected_upstream in ('supabase', 'mailgun')) not valid;
comment on column email_jobs.attempt is
  'Number of delivery attempts. Each claim adds 1. An attempt is given back if the job was not to blame: the worker '
  'stopped, an upstream asked for a pause, or an upstream failed for everybody.';
comment on column email_jobs.probed_at is
  'When a worker last claimed the job as a probe of a stopped upstream, or last recorded a failure that may concern only '
  'this recipient. Probes take the job with the earliest time first. A job that supersedes this one inherits it. Null if '
  'neither happened.';
comment on column email_jobs.suspected_upstream is
  'Name of the upstream (as in upstreams.name) that last failed for the job in a way that may concern only this recipient. '
  'A job that supersedes this one inherits it. Null if none did.';
comment on column email_jobs.refused_at is
  'When that upstream first refused the job with 4xx in such a way. A job that supersedes this one inherits it. Null if it '
  'never did.';
comment on column email_jobs.suspect_attempts is
  'Number of attempts that such failures of that upstream have used up. They are given back if the upstream turns out to '
  'fail for everybody.';

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
    job.probed_at, job.refused_at, job.suspected_upstream, job.suspect_attempts
$$;

create or replace function email_admission(count_to bigint)
returns table (waiting bigint, jobs_per_second double precision, is_stopped boolean, time_left double precision)
language plpgsql stable as $$
begin
  return query
  select
    (select count(*)
      from (select from email_jobs_open where state in ('queued', 'retrying') limit count_to) as counted),
    (select sum(worker.jobs_per_second)
      from email_workers as worker
      where worker.measured_at > statement_timestamp() - interval '30 seconds'),
    exists (select from upstreams where stopped_by is not null),
    (select extract(epoch from min(deadline_at) - statement_timestamp())::double precision
      from email_jobs_open
      where state in ('queued', 'retrying')
        -- What may be a job's own trouble says nothing about how long the next one will wait.
        and suspected_upstream is null);
end $$;
comment on function email_admission is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to), the '
  'jobs per second of all workers together (null if none measured it in the last 30 seconds), whether a breaker or the '
  'slow pace is in force, and the seconds until the earliest deadline of a waiting job that no upstream has failed for (null '
  'if none waits, negative if it has passed).';
select outbox_runs_as_owner('email_admission'::regproc::regprocedure);

-- As before; in addition, a job inherits what its recipient's superseded job has met.
create or replace function email_add_jobs(
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
  probes timestamptz[];
  refusals timestamptz[];
  suspicions text[];
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
    returning past.recipient, past.place, past.probed_at, past.refused_at, past.suspected_upstream
  )
  select
    array_agg(recipient), array_agg(place), array_agg(probed_at), array_agg(refused_at), array_agg(suspected_upstream)
  into superseded, places, probes, refusals, suspicions
  from ended;

  insert into email_jobs (
    id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at, request_id,
    traceparent, place, seq, probed_at, refused_at, suspected_upstream)
  select
    id, state, recipient, mailbox, callback_url, code, message, now, now, now + deadline,
    case when state = 'queued' then 'infinity' else now end,
    request_id, traceparent, coalesce(places[array_position(superseded, recipient)], seq), seq,
    -- Inherited with the place. Otherwise asking again would buy every probe and another first refusal.
    case when state = 'queued' then probes[array_position(superseded, recipient)] end,
    case when state = 'queued' then refusals[array_position(superseded, recipient)] end,
    case when state = 'queued' then suspicions[array_position(superseded, recipient)] end
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
select outbox_runs_as_owner('email_add_jobs'::regproc::regprocedure);
