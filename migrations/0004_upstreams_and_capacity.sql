-- What workers share with each other and with the api: the breakers and pauses of the two upstreams, and how many jobs
-- per second each worker completes. The api accepts a request only if its mail can be sent in time.

create table upstreams (
  name            text primary key,
  open_since      timestamptz,
  slow_since      timestamptz,
  stopped_by      text,
  code            text,
  message         text,
  setting         text,
  probe_at        timestamptz,
  probes          integer not null default 0,
  paused_until    timestamptz,
  checked_at      timestamptz,
  suspects        bytea[] not null default '{}',
  suspected_since timestamptz,
  last_success_at timestamptz,

  constraint name_is_known check (name in ('supabase', 'mailgun')),
  constraint only_one_stop check (open_since is null or slow_since is null),
  constraint stopped_by_is_known check (stopped_by in ('answer', 'check', 'suspects')),
  constraint a_stop_says_why check (
    (open_since is null and slow_since is null) = (stopped_by is null)
    and (stopped_by is null) = (code is null) and (stopped_by is null) = (message is null)
    and (stopped_by is null) = (setting is null) and (stopped_by is null) = (probe_at is null)),
  constraint suspects_have_a_time check ((cardinality(suspects) = 0) = (suspected_since is null))
);
comment on table upstreams is
  'One row per service that the workers call: its circuit breaker, its slow pace, its pause, and the recipients for whom '
  'it lately failed. All workers share them.';
comment on column upstreams.name is 'supabase or mailgun.';
comment on column upstreams.open_since is
  'When a worker opened the breaker. While it is open, workers claim only single jobs as probes. Null while the breaker '
  'is closed.';
comment on column upstreams.slow_since is
  'Since when the service fails for everybody with 5xx or does not answer. Until it works again, workers claim only '
  'single jobs as probes, as with an open breaker. Null while it works.';
comment on column upstreams.stopped_by is
  'What opened the breaker or the slow pace: answer (the service said that a setting is wrong), check (a check call '
  'without side effects failed) or suspects (three recipients in a row were refused). Null while neither is in force.';
comment on column upstreams.code is
  'Machine-readable reason of the breaker or slow pace. Null while neither is in force.';
comment on column upstreams.message is
  'The reason for operators, and what to do about it. Null while neither a breaker nor the slow pace is in force.';
comment on column upstreams.setting is
  'Name of the setting to check, for example MAILGUN_API_KEY. Null while neither a breaker nor the slow pace is in force.';
comment on column upstreams.probe_at is
  'When a worker may next claim one job as a probe, to see whether the problem is fixed. Null while neither a breaker '
  'nor the slow pace is in force.';
comment on column upstreams.probes is 'Number of probes since the breaker or slow pace began. 0 while neither is in force.';
comment on column upstreams.paused_until is
  'End of the last pause that the service asked for by rate limiting (such as HTTP 429). Until then workers claim no '
  'jobs and, if the service is mailgun, send no mails. Null if the service never asked for a pause.';
comment on column upstreams.checked_at is
  'When a worker last began a check call, which asks the service about itself without side effects. Null if none did.';
comment on column upstreams.suspects is
  'SHA-256 hashes of the recipients for whom the service failed although its check call succeeds. A success for '
  'another recipient clears them; the third one opens the breaker or the slow pace.';
comment on column upstreams.suspected_since is
  'When the call began that failed for the first of the suspects. Null if there are none.';
comment on column upstreams.last_success_at is
  'When the latest call began that succeeded while there were suspects. Null if there was none.';

insert into upstreams (name) values ('supabase'), ('mailgun');

create table email_workers (
  name            text             primary key,
  jobs_per_second double precision not null,
  measured_at     timestamptz      not null default clock_timestamp(),

  constraint sizes_are_sane check (octet_length(name) <= 128 and jobs_per_second >= 0)
);
comment on table email_workers is
  'One row per worker that recently had a backlog, with its measured throughput. The api accepts no more requests than '
  'all workers together can mail in time. Workers delete rows that are older than a day.';
comment on column email_workers.name is 'Name of the worker, as in email_jobs.worker.';
comment on column email_workers.jobs_per_second is
  'Jobs per second that the worker brought to an end, averaged over up to 10 seconds. The worker measures it only '
  'while more jobs wait than it can take.';
comment on column email_workers.measured_at is
  'When the worker last wrote the row. email_admission() ignores rows older than 30 seconds.';

-- Waiting jobs are counted up to a maximum, so that the cost does not grow with the queue.
create function email_admission(count_to bigint)
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
      from email_jobs_open where state in ('queued', 'retrying'));
end $$;
comment on function email_admission is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to), the '
  'jobs per second of all workers together (null if none measured it in the last 30 seconds), whether a breaker or '
  'the slow pace is in force, and the seconds until the earliest deadline of a waiting job (null if none waits, negative if it has passed).';

select outbox_out_of_reach(relation)
from unnest(array['upstreams', 'email_workers']::regclass[]) as relation;
select outbox_runs_as_owner('email_admission'::regproc::regprocedure);
