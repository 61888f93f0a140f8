-- One row is one step tried for a job: what was asked of whom, how long it took, what came of it.
-- Partitioned by day and dropped with the jobs' history. No foreign key: partitions go on their own.

create table email_attempts (
  job_id      uuid        not null,
  attempt     smallint    not null,
  step        text        not null,
  outcome     text        not null,
  http_status smallint,
  code        text,
  message     text,
  duration_ms integer     not null,
  started_at  timestamptz not null,
  worker      text        not null,

  primary key (job_id, started_at, step),

  constraint step_is_known check (step in ('generate_link', 'send')),
  constraint outcome_is_known check (outcome in ('ok', 'retry', 'unknown', 'reject', 'configuration', 'stopped')),
  constraint a_failure_says_why check (outcome = 'ok' or code is not null),
  constraint status_is_http check (http_status between 100 and 999),
  constraint duration_is_positive check (duration_ms >= 0),
  constraint sizes_are_sane check (
    octet_length(code) <= 64 and octet_length(message) <= 1000 and octet_length(worker) <= 128)
) partition by range (started_at);

comment on table email_attempts is 'One row per step tried for a job of email_jobs. Join on job_id = email_jobs.id.';
comment on column email_attempts.job_id is 'email_jobs.id.';
comment on column email_attempts.attempt is 'email_jobs.attempt at the time of the step.';
comment on column email_attempts.step is 'generate_link (Supabase Auth is asked for the link) or send (the mail is handed to Mailgun).';
comment on column email_attempts.outcome is
  'ok, retry (nothing happened there: tried again), unknown (it may have happened: the same mail goes again), reject (this job cannot succeed), configuration (no job can until an operator acts), stopped (the worker stopped or lost its lease).';
comment on column email_attempts.http_status is 'Status of the answer; null where none came.';
comment on column email_attempts.code is 'Machine-readable reason. Beside ok: why an earlier link was replaced.';
comment on column email_attempts.message is 'The upstream''s words, without links, addresses or keys.';
comment on column email_attempts.duration_ms is 'Milliseconds from the request to the end of the answer.';
comment on column email_attempts.started_at is 'When the step began. The table is partitioned by this column, by UTC day.';
comment on column email_attempts.worker is 'Worker that took the step.';

select outbox_out_of_reach('email_attempts'::regclass);
