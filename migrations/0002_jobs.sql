-- Jobs: one row per accepted request for a sign-in link.
--
-- Open jobs (finished_at = 'infinity') are in the small partition email_jobs_open. When a job ends, one statement
-- deletes it there and inserts it into the partition of its day. So the cost of a claim does not depend on the size of
-- the history, and old history is removed by dropping whole partitions.

create sequence email_jobs_seq;
comment on sequence email_jobs_seq is 'Source of email_jobs.seq, the order in which requests were accepted.';
create sequence email_jobs_lease_token_seq;
comment on sequence email_jobs_lease_token_seq is
  'Source of email_jobs.lease_token. Each claim takes the next value as its fencing token.';

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
  delivery_at      timestamptz,

  primary key (id, finished_at),

  constraint state_is_known check (state in ('queued', 'running', 'retrying', 'sent', 'failed', 'expired', 'superseded')),
  constraint delivery_is_known check (
    delivery in ('accepted', 'deferred', 'delivered', 'undelivered', 'bounced', 'complained', 'suppressed')),
  constraint a_delivery_has_its_time check ((delivery is null) = (delivery_at is null)),
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
  'One row per accepted request for a sign-in link: the open jobs and the history of ended ones. email_attempts has '
  'the steps that were tried for each job, email_events what Mailgun reported about its mail.';
comment on column email_jobs.id is
  'Id of the job, a UUIDv7: it starts with the time of the request by the api''s clock. The mail carries it as '
  'Mailgun''s user variable job_id.';
comment on column email_jobs.state is
  'queued (waits for a worker), running (leased by a worker), retrying (waits until run_at), sent (Mailgun accepted '
  'the mail), failed (ended without success, see code), expired (not sent by deadline_at) or superseded (replaced by a '
  'newer request of the same recipient, or a repeat of the previous request: code is newer_request or duplicate).';
comment on column email_jobs.delivery is
  'Delivery status that Mailgun reported: accepted, deferred, delivered, undelivered, bounced, complained or '
  'suppressed. A report replaces it only if its email_delivery_rank() is higher, or equal and the event is later. Null '
  'until the first report, and reset to null when a new link replaces the one that was reported on.';
comment on column email_jobs.recipient is
  'Address that the link is mailed to: normalized (NFKC), without surrounding spaces, in lower case. 3 to 254 bytes. '
  'email_forget() replaces it by forgotten@invalid.';
comment on column email_jobs.callback_url is
  'URL that the link leads to after sign-in: portal origin, callback path, and ?next= if the request had one. At most '
  '8192 bytes.';
comment on column email_jobs.attempt is
  'Number of delivery attempts. Each claim adds 1. Putting the job back to wait subtracts 1 if the job was not to '
  'blame: the worker stopped, an upstream asked for a pause, a breaker was open, or an upstream failed for several '
  'recipients in a row.';
comment on column email_jobs.code is
  'Machine-readable reason for the last failure or for the end of the job, for example redirect_not_allowed. At most '
  '64 bytes. Null if nothing failed. For a sent job null, or no_trace if Mailgun later has no record of the mail.';
comment on column email_jobs.message is
  'Human-readable form of code, with what to do if there is something to do. Contains no link, token or key. At most '
  '1000 bytes. Null if code is null, or after email_forget().';
comment on column email_jobs.created_at is
  'When the api accepted the request. All times in this table are by Postgres''s clock, except delivery_at.';
comment on column email_jobs.run_at is
  'Earliest time of the next attempt. At first the time of the request, then set each time the job is put back to '
  'wait.';
comment on column email_jobs.attempted_at is 'When a worker last claimed the job. Null if no worker ever did.';
comment on column email_jobs.deadline_at is
  'When the job expires: created_at plus JOB_DEADLINE. A job that was not sent by then ends as expired.';
comment on column email_jobs.finished_at is
  'When the job ended, infinity while it is open. The table is partitioned by this column: one partition for open jobs '
  'and one per UTC day.';
comment on column email_jobs.request_id is
  'X-Request-Id of the request, 1 to 64 bytes. The api and the worker log the same value.';
comment on column email_jobs.traceparent is
  'W3C trace context (traceparent header) of the request. Null if the request had no valid one.';
comment on column email_jobs.message_id is
  'Message-Id of the mail, with angle brackets. Set together with sealed_link before the first attempt to send, and '
  'kept after the job ends; null until then. All retries with the same link have the same Message-Id. A new link gets '
  'a new one.';
comment on column email_jobs.worker is
  'Worker that holds the job or held it last, as hostname:pid:start time. At most 128 bytes. Null if no worker ever '
  'claimed it.';
comment on column email_jobs.lease_token is
  'Fencing token of the current claim. A worker''s write with any other token has no effect. Null unless the job is '
  'running.';
comment on column email_jobs.lease_expires_at is
  'When the current lease expires unless its worker renews it. After that, workers rescue the job. Null unless the job '
  'is running.';
comment on column email_jobs.link_created_at is
  'When the call to Supabase that created the link began. The link''s lifetime is counted from here. Kept after the '
  'job ends. Null until a link was stored.';
comment on column email_jobs.mailbox is
  'Mailbox that recipient reaches: the address without +tag, and at gmail.com without dots (googlemail.com counts as '
  'gmail.com). Key of recipient_quotas.';
comment on column email_jobs.place is
  'Position in the queue. Workers claim the smallest first. Equal to seq, unless the job superseded a waiting one: '
  'then it takes that job''s place, so that repeating a request never lengthens the wait.';
comment on column email_jobs.seq is
  'Order of acceptance, from email_jobs_seq. Of two jobs of one recipient, the one with the larger seq is the newer '
  'and supersedes the other.';
comment on column email_jobs.sealed_link is
  'The link, encrypted with XChaCha20-Poly1305 under LINK_SEALING_KEY, so that a retry mails the same link. Null until '
  'a link was created, and erased when the job ends.';
comment on column email_jobs.delivery_at is
  'When the reported delivery status was reached, by Mailgun''s clock. Null if and only if delivery is null.';

create index email_jobs_failures on email_jobs (finished_at) where state in ('failed', 'expired');
comment on index email_jobs_failures is 'Failed and expired jobs by the time of their end, for email_failures_by_code.';
-- Ended jobs are written in the order of finished_at, so a few pages of this index locate any time range.
create index email_jobs_finished on email_jobs using brin (finished_at) with (pages_per_range = 16, autosummarize = on);
comment on index email_jobs_finished is 'Locates a range of finished_at in the history.';

-- A row of this partition is updated a few times within seconds and then deleted. Free space on each page lets updates
-- of unindexed columns, such as renewing a lease, stay on the page. Autovacuum starts after a number of rows rather
-- than a share of the table, so the partition stays small whether ten or a hundred thousand jobs wait.
create table email_jobs_open partition of email_jobs
  for values from ('infinity') to (maxvalue)
  with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
comment on table email_jobs_open is
  'The open jobs of email_jobs (finished_at = infinity). Claims and leases touch only this partition.';

-- Each index of this partition costs about three writes per job, so there are as few as possible.
create index email_jobs_open_queue on email_jobs_open (place) where state = 'queued';
comment on index email_jobs_open_queue is
  'Queued jobs in the order in which they are claimed. Retrying jobs are not in it.';
create index email_jobs_open_due on email_jobs_open (run_at) where state = 'retrying';
comment on index email_jobs_open_due is 'Retrying jobs by the time of their next attempt.';
create index email_jobs_open_lease on email_jobs_open (lease_expires_at) where state = 'running';
comment on index email_jobs_open_lease is
  'Running jobs by the end of their lease, for the rescue of jobs whose lease has expired.';
create index email_jobs_open_deadline on email_jobs_open (deadline_at) where state in ('queued', 'retrying');
comment on index email_jobs_open_deadline is 'Waiting jobs by their deadline, to find those that have expired.';
create unique index email_jobs_open_recipient on email_jobs_open (recipient, (state = 'running'));
comment on index email_jobs_open_recipient is
  'Finds the open jobs of a recipient, and enforces at most one waiting and at most one running job per recipient. A '
  'newer request supersedes the waiting job. Two running jobs would invalidate each other''s links.';

-- Every statement that ends jobs builds the history row with this function. It is `stable` and has no SET clause, so
-- that Postgres can inline it.
create function email_job_ended(job email_jobs_open, state text, code text, message text, finished_at timestamptz)
returns setof email_jobs
language sql stable as $$
  select
    job.id, email_job_ended.state, job.delivery, job.recipient, job.callback_url, job.attempt,
    email_job_ended.code, email_job_ended.message,
    job.created_at, job.run_at, job.attempted_at, job.deadline_at, email_job_ended.finished_at,
    job.request_id, job.traceparent, job.message_id, job.worker,
    null::bigint, null::timestamptz, job.link_created_at,
    job.mailbox, job.place, job.seq, null::bytea, job.delivery_at
$$;
comment on function email_job_ended is
  'Returns the history row of an open job that ends with the given state, code, message and time. Clears the lease and '
  'the sealed link.';

create function email_job_time(id uuid) returns timestamptz
language sql immutable strict parallel safe as $$
  select to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
$$;
comment on function email_job_time is
  'When a job was requested, to the millisecond and by the api''s clock: the time that its id (a UUIDv7) starts with.';

select outbox_out_of_reach(relation)
from unnest(array['email_jobs', 'email_jobs_open', 'email_jobs_seq', 'email_jobs_lease_token_seq']::regclass[]) as relation;
select outbox_out_of_reach(routine)
from unnest(array['email_job_ended', 'email_job_time']::regproc[]::regprocedure[]) as routine;
