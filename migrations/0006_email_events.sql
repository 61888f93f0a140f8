-- What Mailgun tells about a mail after it took it: each event a row, and the furthest of them on its job.

alter table email_jobs add column delivery_at timestamptz;
alter table email_jobs add constraint a_delivery_has_its_time check ((delivery is null) = (delivery_at is null));
comment on column email_jobs.delivery_at is
  'When it happened that delivery tells of, by Mailgun''s clock. An event moves delivery forward only: by rank, then by this time.';

-- As before, and the new column.
create or replace function email_job_ended(
  job email_jobs_open, state text, code text, message text, finished_at timestamptz)
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

-- How far a delivery has come: accepted, then put off, then an end, of which a complaint is the last.
create function email_delivery_rank(delivery text) returns smallint
language sql immutable as $$
  select case delivery
    when 'accepted' then 1
    when 'deferred' then 2
    when 'delivered' then 3
    when 'undelivered' then 3
    when 'bounced' then 3
    when 'suppressed' then 3
    when 'complained' then 4
    else 0
  end::smallint
$$;
comment on function email_delivery_rank is
  'Order of email_jobs.delivery: of two events the one of the higher rank holds, of one rank the later.';

create table email_events (
  job_id        uuid        not null,
  event_id      text        not null,
  event         text        not null,
  severity      text,
  reason        text,
  smtp_code     integer,
  enhanced_code text,
  message       text,
  delivery      text,
  occurred_at   timestamptz not null,
  received_at   timestamptz not null default clock_timestamp(),

  primary key (job_id, event_id, received_at),

  constraint sizes_are_sane check (
    octet_length(event_id) between 1 and 128 and octet_length(event) between 1 and 32 and octet_length(severity) <= 32
    and octet_length(reason) <= 64 and octet_length(enhanced_code) <= 16 and octet_length(message) <= 1000)
) partition by range (received_at);
comment on table email_events is
  'One row per event that Mailgun reported about a mail of email_jobs. Join on job_id = email_jobs.id.';
comment on column email_events.job_id is 'email_jobs.id.';
comment on column email_events.event_id is 'Mailgun''s id of the event.';
comment on column email_events.event is 'accepted, delivered, failed, complained or rejected.';
comment on column email_events.severity is 'Of failed: temporary (tried again by Mailgun) or permanent.';
comment on column email_events.reason is 'Mailgun''s word for why: bounce, suppress-bounce, old, generic, and others.';
comment on column email_events.smtp_code is 'The remote server''s status (250, 451, 550), or Mailgun''s own (605: suppressed, 650: test mode).';
comment on column email_events.enhanced_code is 'The remote server''s enhanced status (RFC 3463), such as 5.1.1.';
comment on column email_events.message is 'The remote server''s words, without links, addresses or tokens.';
comment on column email_events.delivery is 'What the event says about the delivery: see email_jobs.delivery. Null where it says nothing (test mode).';
comment on column email_events.occurred_at is 'When it happened, by Mailgun''s clock.';
comment on column email_events.received_at is 'When it was reported to us. The table is partitioned by this column, by UTC day.';

create table email_events_unmatched (
  event_id    text        not null,
  event       text        not null,
  job_id      uuid,
  message_id  text,
  reason      text,
  occurred_at timestamptz not null,
  received_at timestamptz not null default clock_timestamp(),

  primary key (event_id, occurred_at),

  constraint sizes_are_sane check (
    octet_length(event_id) between 1 and 128 and octet_length(event) between 1 and 32
    and octet_length(message_id) <= 998 and octet_length(reason) <= 64)
);
comment on table email_events_unmatched is
  'Signed events that fit no job: of a job dropped long ago, of mail that others send over the domain, of a mail whose link was replaced, or forged. They change nothing.';
comment on column email_events_unmatched.event_id is 'Mailgun''s id of the event.';
comment on column email_events_unmatched.event is 'What it was, as in email_events.';
comment on column email_events_unmatched.job_id is 'The job that it names, if it names one.';
comment on column email_events_unmatched.message_id is 'The Message-Id that it names, if it names one.';
comment on column email_events_unmatched.reason is 'Mailgun''s word for why.';
comment on column email_events_unmatched.occurred_at is 'When it happened, by Mailgun''s clock.';
comment on column email_events_unmatched.received_at is 'When it was reported to us; deleted some days later.';
create index email_events_unmatched_age on email_events_unmatched (received_at);
comment on index email_events_unmatched_age is 'The oldest first, for their deletion.';

create table webhook_tokens (
  token   text        primary key,
  digest  bytea       not null,
  seen_at timestamptz not null default clock_timestamp(),

  constraint sizes_are_sane check (octet_length(token) between 1 and 64 and octet_length(digest) = 32)
);
comment on table webhook_tokens is
  'Tokens of webhooks that were taken: Mailgun signs only these, so a token that comes with another event is refused.';
comment on column webhook_tokens.token is 'The webhook''s token.';
comment on column webhook_tokens.digest is 'SHA-256 of the event that came with it.';
comment on column webhook_tokens.seen_at is 'When it came; forgotten once its timestamp is too old to be taken.';
create index webhook_tokens_age on webhook_tokens (seen_at);
comment on index webhook_tokens_age is 'The oldest first, for their deletion.';

select outbox_out_of_reach(relation)
from unnest(array['email_events', 'email_events_unmatched', 'webhook_tokens']::regclass[]) as relation;
select outbox_out_of_reach('email_delivery_rank'::regproc::regprocedure);
