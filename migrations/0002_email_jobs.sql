-- One row is one accepted request for a sign-in link. Open jobs (finished_at = 'infinity') live in the small
-- partition email_jobs_open; a job that ends is deleted there and inserted into its day's partition, in one
-- statement. So a claim costs the same whatever the history, and history is dropped a day at a time.

create sequence email_jobs_seq;
comment on sequence email_jobs_seq is 'Order of acceptance of email_jobs: of two jobs of one recipient the larger is the newer.';
create sequence email_jobs_lease_token_seq;
comment on sequence email_jobs_lease_token_seq is 'Fencing tokens: each claim takes the next, and every later write names it.';

create table email_jobs (
  id               uuid        not null,
  state            text        not null default 'queued',
  delivery         text,
  recipient        text        not null,
  callback_url     text        not null,
  attempt          smallint    not null default 0,
  code             text,
  message          text,
  created_at       timestamptz not null default clock_timestamp(),
  run_at           timestamptz not null default clock_timestamp(),
  attempted_at     timestamptz,
  deadline_at      timestamptz not null,
  finished_at      timestamptz not null default 'infinity',
  request_id       text        not null,
  traceparent      text,
  message_id       text,
  worker           text,
  lease_token      bigint,
  lease_expires_at timestamptz,
  link_created_at  timestamptz,
  mailbox          text        not null,
  place            bigint      not null,
  seq              bigint      not null,
  sealed_link      bytea,

  primary key (id, finished_at),

  constraint state_is_known check (state in ('queued', 'running', 'retrying', 'sent', 'failed', 'expired', 'superseded')),
  constraint delivery_is_known check (
    delivery in ('accepted', 'deferred', 'delivered', 'undelivered', 'bounced', 'complained', 'suppressed')),
  constraint only_open_jobs_are_unfinished check (
    (state in ('queued', 'running', 'retrying')) = (finished_at = 'infinity')),
  constraint only_running_jobs_are_leased check (
    (state = 'running') = (lease_token is not null) and (state = 'running') = (lease_expires_at is not null)),
  constraint a_leased_job_names_its_worker check (state <> 'running' or worker is not null),
  constraint an_attempt_has_its_time check (attempt = 0 or attempted_at is not null),
  constraint only_open_jobs_keep_a_link check (finished_at = 'infinity' or sealed_link is null),
  constraint a_sealed_link_has_its_mail check (
    sealed_link is null or (message_id is not null and link_created_at is not null)),
  constraint a_sent_job_has_its_mail check (state <> 'sent' or (message_id is not null and attempt > 0)),
  constraint a_failure_says_why check (state not in ('failed', 'expired', 'retrying') or code is not null),
  constraint attempt_counts_up check (attempt >= 0),
  constraint deadline_is_later check (deadline_at > created_at),
  constraint sizes_are_sane check (
    octet_length(recipient) between 3 and 254 and octet_length(mailbox) <= 254
    and octet_length(callback_url) <= 8192 and octet_length(code) <= 64 and octet_length(message) <= 1000
    and octet_length(request_id) <= 64 and octet_length(traceparent) <= 55 and octet_length(worker) <= 128)
) partition by range (finished_at);

comment on table email_jobs is
  'One row per accepted request for a sign-in link: open jobs and the history of ended ones. See email_attempts for each step tried.';
comment on column email_jobs.id is 'The job (UUIDv7: it begins with the time of the request). Mailgun knows it as v:job_id.';
comment on column email_jobs.state is
  'queued (waits for a worker), running (leased by one), retrying (waits for run_at), sent (Mailgun took the mail), failed (ended; code says why), expired (not sent by deadline_at), superseded (a newer request of this recipient, or a double click: code duplicate).';
comment on column email_jobs.delivery is
  'What Mailgun reported after it took the mail: accepted, deferred, delivered, undelivered, bounced, complained, suppressed. Null until the first report.';
comment on column email_jobs.recipient is 'The address that the link is mailed to, as given, in lower case.';
comment on column email_jobs.callback_url is 'Where the link leads after sign-in: portal origin, callback path, and ?next= where one was asked for.';
comment on column email_jobs.attempt is 'Deliveries begun, counted at each claim. Given back where the job is not to blame: a hand-back, a pause, an open breaker, an upstream in trouble.';
comment on column email_jobs.code is 'Machine-readable reason of the last failure or of the end, such as redirect_not_allowed. Null while all is well.';
comment on column email_jobs.message is 'The same for people, with what to do where there is something to do. Holds no link, token or key.';
comment on column email_jobs.created_at is 'When the request was accepted (Postgres''s clock, as all times here).';
comment on column email_jobs.run_at is 'Not before this time: now for a new job, the time of the next try for a retrying one.';
comment on column email_jobs.attempted_at is 'When a worker last claimed the job.';
comment on column email_jobs.deadline_at is 'A job that waits past this time ends as expired: nobody waits an hour for a sign-in mail (JOB_DEADLINE).';
comment on column email_jobs.finished_at is 'When the job ended; infinity while it is open. The table is partitioned by this column, by UTC day.';
comment on column email_jobs.request_id is 'X-Request-Id of the request: the same value stands in the log lines of both programs.';
comment on column email_jobs.traceparent is 'W3C trace context of the request, if it came with a valid one.';
comment on column email_jobs.message_id is 'Message-Id of the mail, one for all tries with the same link. Set before the first try to send.';
comment on column email_jobs.worker is 'Worker that holds, or last held, the job: host name, process id, start.';
comment on column email_jobs.lease_token is 'Fencing token of the claim in force: a write that names another changes nothing.';
comment on column email_jobs.lease_expires_at is 'Until when the worker holds the job; past it, the job is rescued for another worker.';
comment on column email_jobs.link_created_at is 'When Supabase made the link: its lifetime counts from here.';
comment on column email_jobs.mailbox is 'The recipient without +tag (and without dots at gmail.com): the key of the recipient''s quota.';
comment on column email_jobs.place is 'Place in the queue, smaller first. Inherited from the job that this one superseded, so that asking again never makes the wait longer.';
comment on column email_jobs.seq is 'Order of acceptance: of two jobs of one recipient the larger is the newer, and the newer wins.';
comment on column email_jobs.sealed_link is 'The link, encrypted (XChaCha20-Poly1305 under LINK_SEALING_KEY), so that a retry mails the very same one. Erased when the job ends.';

-- Jobs of one person, newest first: the double-click rule at the door, and the operator's first question.
create index email_jobs_recipient on email_jobs (recipient, created_at desc);
comment on index email_jobs_recipient is 'A person''s jobs, newest first.';

-- Every row here is updated a few times within seconds and then deleted. Room on the page keeps updates of
-- unindexed columns (the lease's renewal) on it; vacuum by count, not by share, keeps the partition small
-- whether ten or a hundred thousand jobs wait.
create table email_jobs_open partition of email_jobs
  for values from ('infinity') to (maxvalue)
  with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
comment on table email_jobs_open is 'The open jobs of email_jobs (finished_at = infinity): the only part that claims and leases touch.';

create index email_jobs_open_queue on email_jobs_open (place) where state = 'queued';
comment on index email_jobs_open_queue is 'The queue, in the order of claims. Jobs that wait for their run_at are not in it.';
create index email_jobs_open_due on email_jobs_open (run_at) where state = 'retrying';
comment on index email_jobs_open_due is 'Retrying jobs by the time of their next try.';
create unique index email_jobs_open_one_waiting on email_jobs_open (recipient) where state in ('queued', 'retrying');
comment on index email_jobs_open_one_waiting is 'At most one waiting job per recipient: a newer request ends the older one.';
create unique index email_jobs_open_one_running on email_jobs_open (recipient) where state = 'running';
comment on index email_jobs_open_one_running is 'Never two running jobs of one recipient: their links would kill each other.';
create index email_jobs_open_lease on email_jobs_open (lease_expires_at) where state = 'running';
comment on index email_jobs_open_lease is 'Running jobs by the end of their lease, for the rescue of those whose worker is gone.';
create index email_jobs_open_deadline on email_jobs_open (deadline_at) where state in ('queued', 'retrying');
comment on index email_jobs_open_deadline is 'Waiting jobs by their deadline.';

-- What a job looks like once it has ended: lease and link gone, the end's time and reason set. The one place
-- that says so; every statement that ends jobs goes through it. `stable` and without SET, so that it is inlined.
create function email_job_ended(job email_jobs_open, state text, code text, message text, finished_at timestamptz)
returns setof email_jobs
language sql stable as $$
  select
    job.id, email_job_ended.state, job.delivery, job.recipient, job.callback_url, job.attempt,
    email_job_ended.code, email_job_ended.message,
    job.created_at, job.run_at, job.attempted_at, job.deadline_at, email_job_ended.finished_at,
    job.request_id, job.traceparent, job.message_id, job.worker,
    null::bigint, null::timestamptz, job.link_created_at,
    job.mailbox, job.place, job.seq, null::bytea
$$;
comment on function email_job_ended is 'The history row of an open job that ends in the given state: without lease and link.';

select outbox_out_of_reach(relation)
from unnest(array['email_jobs', 'email_jobs_open', 'email_jobs_seq', 'email_jobs_lease_token_seq']::regclass[]) as relation;
select outbox_out_of_reach('email_job_ended'::regproc::regprocedure);
