-- Events: what Mailgun reports about a mail after accepting it. email_take_reports stores a batch of reports: one row
-- per event, and the highest-ranked status on the job (email_jobs.delivery). Workers ask Mailgun about mails whose
-- final status was not reported.

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
  'Rank of a value of email_jobs.delivery, from 0 (null) to 4 (complained). A reported value replaces one of a lower '
  'rank, or an earlier one of the same rank.';

create table email_events (
  job_id           uuid        not null,
  event_id         text        not null,
  event            text        not null,
  severity         text,
  reason           text,
  smtp_code        integer,
  enhanced_code    text,
  message          text,
  delivery         text,
  occurred_at      timestamptz not null,
  received_at      timestamptz not null default clock_timestamp(),
  recipient_domain text,
  moves            boolean     not null default false,
  moved_from       text,

  primary key (job_id, event_id, received_at),

  constraint a_domain_is_short check (octet_length(recipient_domain) <= 254),
  constraint sizes_are_sane check (
    octet_length(event_id) between 1 and 128 and octet_length(event) between 1 and 32 and octet_length(severity) <= 32
    and octet_length(reason) <= 64 and octet_length(enhanced_code) <= 16 and octet_length(message) <= 1000)
) partition by range (received_at);
comment on table email_events is
  'One row per event that Mailgun reported about the mail of a job. Join on job_id = email_jobs.id.';
comment on column email_events.job_id is 'Job that the event belongs to: email_jobs.id.';
comment on column email_events.event_id is 'Mailgun''s id of the event.';
comment on column email_events.event is 'Mailgun''s event type: accepted, delivered, failed, complained or rejected.';
comment on column email_events.severity is
  'For failed events: temporary (Mailgun retries) or permanent. Otherwise null.';
comment on column email_events.reason is
  'Mailgun''s reason, for example bounce, suppress-bounce, old or generic. Null if Mailgun gave none.';
comment on column email_events.smtp_code is
  'SMTP status of the recipient''s server, for example 250 or 550, or one of Mailgun''s own: 605 (suppressed), 650 '
  '(test mode). Null if the event has none.';
comment on column email_events.enhanced_code is
  'Enhanced status code (RFC 3463) of the recipient''s server, for example 5.1.1. Null if the event has none.';
comment on column email_events.message is
  'Text that the recipient''s server or Mailgun gave. Links, addresses and tokens are redacted. At most 1000 bytes. '
  'Null if there is none, or after email_forget().';
comment on column email_events.delivery is
  'Delivery status that the event stands for, as in email_jobs.delivery. Null if it says nothing about delivery, such '
  'as an event of Mailgun''s test mode.';
comment on column email_events.occurred_at is 'When the event happened, by Mailgun''s clock.';
comment on column email_events.received_at is
  'When the event was stored, by Postgres''s clock. The table is partitioned by this column, one partition per UTC '
  'day.';
comment on column email_events.recipient_domain is
  'Part of the recipient''s address after the @; the word invalid after email_forget().';
comment on column email_events.moves is 'Whether this event changed email_jobs.delivery.';
comment on column email_events.moved_from is
  'If moves is true: the value of email_jobs.delivery before, null if it had none. Otherwise null.';
-- Events are stored in the order of received_at, so a few pages of this index locate any time range.
create index email_events_received on email_events using brin (received_at) with (pages_per_range = 16, autosummarize = on);
comment on index email_events_received is 'Locates a range of received_at in the history.';

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
  'Reported events that match no job: the job was dropped with its partition, the mail was sent by someone else over '
  'the same domain, the mail''s link has since been replaced, or the event is forged. They have no effect. Workers '
  'delete them after RETENTION_DAYS.';
comment on column email_events_unmatched.event_id is 'Mailgun''s id of the event.';
comment on column email_events_unmatched.event is 'Mailgun''s event type, as in email_events.event.';
comment on column email_events_unmatched.job_id is 'Job id that the event names. Null if it names none.';
comment on column email_events_unmatched.message_id is
  'Message-Id that the event names, with angle brackets. Null if it names none.';
comment on column email_events_unmatched.reason is
  'Mailgun''s reason, as in email_events.reason. Null if Mailgun gave none.';
comment on column email_events_unmatched.occurred_at is 'When the event happened, by Mailgun''s clock.';
comment on column email_events_unmatched.received_at is
  'When the event was stored, by Postgres''s clock. RETENTION_DAYS counts from here.';
create index email_events_unmatched_age on email_events_unmatched (received_at);
comment on index email_events_unmatched_age is 'Unmatched events by age, to delete the oldest.';

create table webhook_tokens (
  token   text        primary key,
  digest  bytea       not null,
  seen_at timestamptz not null default clock_timestamp(),

  constraint sizes_are_sane check (octet_length(token) between 1 and 64 and octet_length(digest) = 32)
);
comment on table webhook_tokens is
  'Tokens of accepted webhooks. Mailgun signs the timestamp and the token but not the event, so a token that comes '
  'again with a different event is rejected.';
comment on column webhook_tokens.token is 'Token from the webhook''s signature.';
comment on column webhook_tokens.digest is 'SHA-256 of the event that first came with the token, 32 bytes.';
comment on column webhook_tokens.seen_at is
  'When the webhook was accepted. Workers delete the row 48 hours later, twice the maximum of WEBHOOK_MAX_AGE.';
create index webhook_tokens_age on webhook_tokens (seen_at);
comment on index webhook_tokens_age is 'Tokens by age, to delete the oldest.';

-- Takes a batch of reports and returns the outcome of each, in the order of `position`. A call is one transaction, so a
-- token is stored if and only if its report has been processed. Concurrent calls cannot deadlock, because all of them
-- lock rows in one order: jobs by id, then tokens, then suppressed recipients.
create function email_take_reports(reports jsonb)
returns table (outcome text, moved_to text, suppression text)
language plpgsql as $$
#variable_conflict use_column
declare
  ids uuid[];
  -- Bounds on finished_at, so that only a few partitions are read. This assumes that a job ends within a day of its
  -- request (JOB_DEADLINE, and the time that a rescue adds). The rest allows for errors of the api's clock, whose time
  -- the id contains.
  first_end timestamptz;
  last_end timestamptz;
  new_tokens text[];
  outcomes text[];
  moves text[];
  to_suppress jsonb;
  suppressions jsonb;
begin
  select array_agg(r.job), min(email_job_time(r.job)) - interval '1 day', max(email_job_time(r.job)) + interval '2 days'
  into ids, first_end, last_end
  from jsonb_to_recordset(reports) as r (job uuid);

  -- A job that ends at this moment is missed: its open row is deleted and its history row is too new for this
  -- statement's snapshot. The next try has a new snapshot.
  for tries in 1..3 loop
    perform from email_jobs
    where id = any(ids) and (finished_at = 'infinity' or finished_at between first_end and last_end)
    order by id
    for no key update;
    exit when not exists (
      select from unnest(ids) as wanted (id)
      where wanted.id is not null
        and not exists (
          select from email_jobs as job
          where job.id = wanted.id and (job.finished_at = 'infinity' or job.finished_at between first_end and last_end)));
  end loop;

  with added as (
    insert into webhook_tokens (token, digest)
    select distinct on (r.token) r.token, decode(r.digest, 'hex')
    from jsonb_to_recordset(reports) as r (position integer, token text, digest text)
    where r.token is not null
    order by r.token, r.position
    on conflict do nothing
    returning token
  )
  select coalesce(array_agg(token), '{}') into new_tokens from added;

  with given as (
    select *
    from jsonb_to_recordset(reports) as r (
      position integer, token text, digest text, id text, event text, job uuid, message_id text, recipient text,
      severity text, reason text, smtp_code integer, enhanced_code text, message text, delivery text,
      suppression text, occurred_at timestamptz)
  ),
  tokens as (
    select
      given.position,
      case
        when given.token is null then 'new'
        when given.token = any(new_tokens)
          and given.position = min(given.position) over (partition by given.token) then 'new'
        -- A subquery, because a join might read all tokens.
        when given.digest = (
          select encode(known.digest, 'hex') from webhook_tokens as known where known.token = given.token) then 'known'
        else 'token_reused'
      end as verdict
    from given
  ),
  matched as (
    select
      given.*,
      job.finished_at,
      job.delivery as before,
      job.delivery_at as before_at,
      row_number() over (partition by given.job, given.id order by given.position) = 1
        and not exists (
          select from email_events as event
          where event.job_id = given.job and event.event_id = given.id and event.received_at >= first_end) as is_new
    from given
    join tokens on tokens.position = given.position and tokens.verdict = 'new'
    join email_jobs as job
      on job.id = given.job and job.message_id = given.message_id and job.recipient = given.recipient
    where job.id = any(ids) and (job.finished_at = 'infinity' or job.finished_at between first_end and last_end)
  ),
  furthest as (
    select distinct on (job) position, job, finished_at, delivery, occurred_at
    from matched
    where is_new
      and delivery is not null
      and (email_delivery_rank(delivery), occurred_at, delivery)
        > (email_delivery_rank(before), coalesce(before_at, '-infinity'), coalesce(before, ''))
    order by job, email_delivery_rank(delivery) desc, occurred_at desc, delivery desc
  ),
  moved as (
    update email_jobs as job
    set delivery = furthest.delivery,
      delivery_at = furthest.occurred_at,
      -- Mailgun knows the mail after all, so clear what reconciliation set when it found no trace of it.
      message = case when job.code = 'no_trace' then null else job.message end,
      code = nullif(job.code, 'no_trace')
    from furthest
    where job.id = furthest.job
      and job.finished_at = furthest.finished_at
      and job.id = any(ids) and (job.finished_at = 'infinity' or job.finished_at between first_end and last_end)
  ),
  kept as (
    insert into email_events (
      job_id, event_id, event, severity, reason, smtp_code, enhanced_code, message, delivery, occurred_at,
      recipient_domain, moves, moved_from)
    select
      matched.job, id, event, severity, reason, smtp_code, enhanced_code, message, matched.delivery, matched.occurred_at,
      split_part(recipient, '@', 2), furthest.position is not null, case when furthest.position is not null then before end
    from matched
    left join furthest on furthest.position = matched.position
    where is_new
  ),
  parked as (
    insert into email_events_unmatched (event_id, event, job_id, message_id, reason, occurred_at)
    select distinct on (given.id, given.occurred_at)
      given.id, given.event, given.job, given.message_id, given.reason, given.occurred_at
    from given
    join tokens on tokens.position = given.position and tokens.verdict = 'new'
    where not exists (select from matched where matched.position = given.position)
    order by given.id, given.occurred_at
    on conflict do nothing
  )
  select
    array_agg(
      case
        when tokens.verdict <> 'new' then tokens.verdict
        when matched.position is null then 'unmatched'
        when matched.is_new then 'recorded'
        else 'known'
      end
      order by tokens.position),
    array_agg(furthest.delivery order by tokens.position)
  into outcomes, moves
  from tokens
  left join matched on matched.position = tokens.position
  left join furthest on furthest.position = tokens.position;

  select jsonb_agg(r.report order by r.number)
  into to_suppress
  from jsonb_array_elements(reports) with ordinality as r (report, number)
  where outcomes[r.number] = 'recorded'
    and (r.report ->> 'suppression' is not null or r.report ->> 'delivery' = 'delivered');
  if to_suppress is not null then
    select jsonb_object_agg(s.recipient, s.outcome) into suppressions from email_suppress(to_suppress) as s;
  end if;

  return query
  select
    outcomes[r.number],
    moves[r.number],
    case
      when outcomes[r.number] = 'recorded' and r.report ->> 'suppression' is not null
        then suppressions ->> (r.report ->> 'recipient')
    end
  from jsonb_array_elements(reports) with ordinality as r (report, number)
  order by r.number;
end $$;
comment on function email_take_reports is
  'Takes a batch of reports from Mailgun, a JSON array: stores their tokens and events, updates email_jobs.delivery, '
  'and suppresses recipients. Returns one row per report, in order: its outcome (recorded, known, unmatched or '
  'token_reused), the new value of email_jobs.delivery if the report changed it, and suppressed or held_back if it gave '
  'a reason to suppress its recipient.';

-- The programs turn hash joins off on their connections, since their statements look up few rows by key. This function
-- joins the intermediate results of a batch with each other, so it turns hash joins on. It still finds table rows by
-- key.
select outbox_runs_as_owner('email_take_reports'::regproc::regprocedure);
alter function email_take_reports set enable_hashjoin = on set enable_bitmapscan = off;

-- Reconciliation: workers with a MAILGUN_EVENTS_KEY ask Mailgun about mails whose final status was not reported.
create table email_reconciliations (
  job_id      uuid        primary key,
  message_id  text        not null,
  ended_at    timestamptz not null,
  asks        smallint    not null default 0,
  next_ask_at timestamptz not null
);
comment on table email_reconciliations is
  'Ended jobs whose mail Mailgun may have, but whose final delivery status was not reported within 10 minutes of their '
  'end. Workers ask Mailgun about each of them until the status is known, at most until 24 hours after the end of the '
  'job.';
comment on column email_reconciliations.job_id is 'The job: email_jobs.id.';
comment on column email_reconciliations.message_id is 'Message-Id of the mail: email_jobs.message_id.';
comment on column email_reconciliations.ended_at is 'When the job ended: email_jobs.finished_at.';
comment on column email_reconciliations.asks is
  'How many times workers have asked Mailgun without learning the final status.';
comment on column email_reconciliations.next_ask_at is 'When a worker asks Mailgun next.';
create index email_reconciliations_due on email_reconciliations (next_ask_at);
comment on index email_reconciliations_due is 'Mails by the time when Mailgun is asked about them next.';

create table email_reconciler (
  enlisted_to timestamptz not null,
  held_by     text,
  held_until  timestamptz not null,
  reason      text
);
comment on table email_reconciler is
  'Progress and lease of the reconciliation, in one row. Only one worker asks Mailgun at a time.';
comment on column email_reconciler.enlisted_to is
  'Jobs that ended up to this time have been considered for email_reconciliations.';
comment on column email_reconciler.held_by is
  'Worker that holds the lease or held it last. Null if no worker ever did.';
comment on column email_reconciler.held_until is
  'When the lease expires. If reason is set, no worker asks Mailgun before this time.';
comment on column email_reconciler.reason is
  'Why no worker asks Mailgun until held_until, for example because it refused the key. Null if there is no such '
  'pause.';
insert into email_reconciler (enlisted_to, held_until) values (clock_timestamp(), clock_timestamp());

select outbox_out_of_reach(relation)
from unnest(
  array['email_events', 'email_events_unmatched', 'webhook_tokens', 'email_reconciliations', 'email_reconciler']::regclass[])
  as relation;
select outbox_out_of_reach('email_delivery_rank'::regproc::regprocedure);
