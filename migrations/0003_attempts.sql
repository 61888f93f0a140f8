-- Attempts: one row per step that a worker tried for a job, with its duration and outcome.
--
-- The table is partitioned by day, and its partitions are dropped with those of email_jobs. There is no foreign key to
-- email_jobs, because each partition is dropped on its own.

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

comment on table email_attempts is 'One row per step that a worker tried for a job. Join on job_id = email_jobs.id.';
comment on column email_attempts.job_id is 'Job that the step belongs to: email_jobs.id.';
comment on column email_attempts.attempt is 'Value of email_jobs.attempt during the step.';
comment on column email_attempts.step is
  'generate_link (asked Supabase Auth for a link) or send (handed the mail to Mailgun).';
comment on column email_attempts.outcome is
  'ok, retry (the call had no effect and is retried), unknown (the call may have had an effect: the same mail is sent '
  'again), reject (this job cannot succeed), configuration (no job can succeed until an operator acts) or stopped (the '
  'worker stopped or lost its lease before the answer).';
comment on column email_attempts.http_status is 'HTTP status of the answer. Null if no answer came.';
comment on column email_attempts.code is
  'Machine-readable reason of the outcome, at most 64 bytes. If the outcome is ok: why the link of an earlier attempt '
  'was replaced, or null.';
comment on column email_attempts.message is
  'Human-readable form of code, with the upstream''s own words. Links, addresses and keys are redacted. At most 1000 '
  'bytes. Null if code is null, or after email_forget().';
comment on column email_attempts.duration_ms is 'Milliseconds from the start of the step to the end of the answer.';
comment on column email_attempts.started_at is
  'When the step started, by the worker''s clock. The table is partitioned by this column, one partition per UTC day.';
comment on column email_attempts.worker is 'Worker that took the step, as in email_jobs.worker.';

select outbox_out_of_reach('email_attempts'::regclass);
