-- What workers share with each other and with the api: the breakers and pauses of the two upstreams, and how many jobs
-- per second each worker completes. The api accepts a request only if its mail can be sent in time.

create table upstreams (
  name          text primary key,
  open_since    timestamptz,
  code          text,
  message       text,
  setting       text,
  probe_at      timestamptz,
  probes        integer not null default 0,
  paused_until  timestamptz,

  constraint name_is_known check (name in ('supabase', 'mailgun')),
  constraint an_open_breaker_says_why check (
    (open_since is null) = (code is null) and (open_since is null) = (message is null)
    and (open_since is null) = (setting is null) and (open_since is null) = (probe_at is null))
);
comment on table upstreams is
  'One row per service that the workers call, with its circuit breaker and its pause. All workers share them.';
comment on column upstreams.name is 'supabase or mailgun.';
comment on column upstreams.open_since is
  'When a worker opened the breaker. While it is open, no job can succeed until an operator changes something, so '
  'workers claim only single jobs as probes. Null while the breaker is closed.';
comment on column upstreams.code is 'Machine-readable reason why the breaker is open. Null while it is closed.';
comment on column upstreams.message is
  'Why the breaker is open and what to do about it, for operators. Null while it is closed.';
comment on column upstreams.setting is
  'Name of the setting to check, for example MAILGUN_API_KEY. Null while the breaker is closed.';
comment on column upstreams.probe_at is
  'When a worker may next claim one job as a probe, to see whether the problem is fixed. Null while the breaker is '
  'closed.';
comment on column upstreams.probes is 'Number of probes since the breaker opened. 0 while it is closed.';
comment on column upstreams.paused_until is
  'End of the last pause that the service asked for by rate limiting (such as HTTP 429). Until then workers claim no '
  'jobs and, if the service is mailgun, send no mails. Null if the service never asked for a pause.';

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
    exists (select from upstreams where open_since is not null),
    (select extract(epoch from min(deadline_at) - statement_timestamp())::double precision
      from email_jobs_open where state in ('queued', 'retrying'));
end $$;
comment on function email_admission is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to), the '
  'jobs per second of all workers together (null if none measured it in the last 30 seconds), whether a breaker is '
  'open, and the seconds until the earliest deadline of a waiting job (null if none waits, negative if it has passed).';

select outbox_out_of_reach(relation)
from unnest(array['upstreams', 'email_workers']::regclass[]) as relation;
select outbox_runs_as_owner('email_admission'::regproc::regprocedure);
