-- Views for operators, and the hourly counts behind one of them. None of them reads the whole history: email_jobs_now
-- reads the partition of open jobs, email_jobs_recent reads ids backwards from the newest, email_failures_by_code uses
-- an index of failures only, and email_delivery_by_domain sums at most 24 hours of counts.

create view email_jobs_now with (security_invoker = true) as
select
  state,
  code,
  count(*) as jobs,
  date_trunc('second', clock_timestamp() - min(created_at)) as oldest,
  min(run_at) filter (where state = 'retrying') as next_try
from email_jobs
where finished_at = 'infinity'
group by state, code
order by state, jobs desc;
comment on view email_jobs_now is 'Open jobs, counted by state and by the reason of their last failure.';
comment on column email_jobs_now.state is 'queued, running or retrying, as in email_jobs.state.';
comment on column email_jobs_now.code is
  'Reason of the last failure, as in email_jobs.code. Null for jobs that have not failed yet.';
comment on column email_jobs_now.jobs is 'Number of jobs.';
comment on column email_jobs_now.oldest is
  'Time since the request of the oldest of these jobs, truncated to whole seconds.';
comment on column email_jobs_now.next_try is 'When the next of the retrying jobs is due. Null for other states.';

create view email_jobs_recent with (security_invoker = true) as
select
  created_at,
  recipient,
  state,
  delivery,
  attempt as attempts,
  coalesce(code || ': ' || message, code) as last_words,
  case when state = 'sent' then round(extract(epoch from finished_at - created_at), 1) end as seconds_to_sent,
  case when delivery = 'delivered' then round(extract(epoch from delivery_at - created_at), 1) end as seconds_to_delivered,
  request_id,
  id
from email_jobs
order by id desc;
comment on view email_jobs_recent is
  'One row per job, the newest request first (ids start with the time of the request). Use it with LIMIT.';
comment on column email_jobs_recent.created_at is 'When the api accepted the request.';
comment on column email_jobs_recent.recipient is 'Address that the link is mailed to.';
comment on column email_jobs_recent.state is 'State of the job, as in email_jobs.state.';
comment on column email_jobs_recent.delivery is
  'Latest delivery status that Mailgun reported, as in email_jobs.delivery. Null until the first report.';
comment on column email_jobs_recent.attempts is 'Number of delivery attempts, as in email_jobs.attempt.';
comment on column email_jobs_recent.last_words is
  'Code and message of the last failure or of the end of the job. Null if nothing failed.';
comment on column email_jobs_recent.seconds_to_sent is
  'Seconds from the request until the worker recorded that Mailgun accepted the mail, to a tenth. Null unless the '
  'state is sent.';
comment on column email_jobs_recent.seconds_to_delivered is
  'Seconds from the request until the recipient''s server accepted the mail (by Mailgun''s clock), to a tenth. Null '
  'unless delivery is delivered.';
comment on column email_jobs_recent.request_id is 'X-Request-Id of the request.';
comment on column email_jobs_recent.id is 'Id of the job, for email_attempts.job_id and email_events.job_id.';

create view email_failures_by_code with (security_invoker = true) as
select
  code,
  state,
  count(*) as jobs,
  max(finished_at) as last_at,
  (array_agg(message order by finished_at desc))[1] as last_message
from email_jobs
where state in ('failed', 'expired')
  and finished_at > now() - interval '1 day'
  and finished_at <= now()
group by code, state
order by jobs desc;
comment on view email_failures_by_code is 'Jobs that failed or expired in the last 24 hours, counted by reason.';
comment on column email_failures_by_code.code is 'Reason, as in email_jobs.code.';
comment on column email_failures_by_code.state is 'failed or expired.';
comment on column email_failures_by_code.jobs is 'Number of jobs.';
comment on column email_failures_by_code.last_at is 'When the last of these jobs ended.';
comment on column email_failures_by_code.last_message is
  'Message of the job that ended last, with what to do if there is something to do.';

-- Delivery by domain, counted by the hour: reading a day costs the same however many mails it had.
--
-- Each latency bucket is a column, because summing columns is several times as fast as summing arrays.
create table email_delivery_hours (
  hour        timestamptz not null,
  domain      text        not null,
  sent        integer     not null default 0,
  deferred    integer     not null default 0,
  delivered   integer     not null default 0,
  undelivered integer     not null default 0,
  bounced     integer     not null default 0,
  complained  integer     not null default 0,
  suppressed  integer     not null default 0,
  within_1s   integer     not null default 0,
  within_2s   integer     not null default 0,
  within_3s   integer     not null default 0,
  within_5s   integer     not null default 0,
  within_10s  integer     not null default 0,
  within_20s  integer     not null default 0,
  within_60s  integer     not null default 0,
  within_3m   integer     not null default 0,
  within_10m  integer     not null default 0,
  within_1h   integer     not null default 0,
  later       integer     not null default 0,

  primary key (hour, domain)
) with (fillfactor = 70);
comment on table email_delivery_hours is
  'Mails per hour of the request and recipient domain: how many were sent, their current delivery status, and how long '
  'the deliveries took. Workers update it by email_roll_up(), up to half a minute late, and delete rows older than '
  'RETENTION_DAYS.';
comment on column email_delivery_hours.hour is 'Start of the hour (UTC) in which the request was made.';
comment on column email_delivery_hours.domain is 'Domain of the recipient''s address.';
comment on column email_delivery_hours.sent is 'Number of mails that Mailgun accepted.';
comment on column email_delivery_hours.deferred is
  'Number of mails that are deferred now: the recipient''s server refused them for the time being, and Mailgun '
  'retries.';
comment on column email_delivery_hours.delivered is
  'Number of mails that the recipient''s server accepted. A complaint moves a mail to complained.';
comment on column email_delivery_hours.undelivered is
  'Number of mails that could not be delivered for other reasons: delivery took too long, the mailbox was full, a '
  'policy forbade it, or Mailgun rejected the mail.';
comment on column email_delivery_hours.bounced is 'Number of mails that the recipient''s server rejected permanently.';
comment on column email_delivery_hours.complained is 'Number of mails that were marked as spam by their reader.';
comment on column email_delivery_hours.suppressed is
  'Number of mails that Mailgun did not try to deliver, because the address is on one of its suppression lists.';
comment on column email_delivery_hours.within_1s is 'Number of deliveries at most 1 second after the request.';
comment on column email_delivery_hours.within_2s is
  'Number of deliveries more than 1 second and at most 2 seconds after the request.';
comment on column email_delivery_hours.within_3s is
  'Number of deliveries more than 2 and at most 3 seconds after the request.';
comment on column email_delivery_hours.within_5s is
  'Number of deliveries more than 3 and at most 5 seconds after the request.';
comment on column email_delivery_hours.within_10s is
  'Number of deliveries more than 5 and at most 10 seconds after the request.';
comment on column email_delivery_hours.within_20s is
  'Number of deliveries more than 10 and at most 20 seconds after the request.';
comment on column email_delivery_hours.within_60s is
  'Number of deliveries more than 20 and at most 60 seconds after the request.';
comment on column email_delivery_hours.within_3m is
  'Number of deliveries more than 60 seconds and at most 3 minutes after the request.';
comment on column email_delivery_hours.within_10m is
  'Number of deliveries more than 3 and at most 10 minutes after the request.';
comment on column email_delivery_hours.within_1h is
  'Number of deliveries more than 10 minutes and at most 1 hour after the request.';
comment on column email_delivery_hours.later is 'Number of deliveries more than 1 hour after the request.';

create table email_rollup (
  rolled_up_to timestamptz not null
);
comment on table email_rollup is 'Progress of email_roll_up(), in one row.';
comment on column email_rollup.rolled_up_to is
  'email_delivery_hours includes the jobs that ended and the events that were received up to this time.';
insert into email_rollup values (clock_timestamp());

-- Adds the jobs and events since the last call to the counts. A row becomes visible a little after its own time, when
-- its statement commits. A statement takes at most 10 seconds, so the last 15 seconds are left for the next call. One
-- call covers at most an hour, so that it finishes in time even after a long downtime.
create function email_roll_up() returns boolean
language plpgsql as $$
declare
  after timestamptz;
  latest timestamptz := clock_timestamp() - interval '15 seconds';
  up_to timestamptz;
begin
  -- Do nothing if another worker is in the middle of this.
  select rolled_up_to into after from email_rollup for update skip locked;
  up_to := least(after + interval '1 hour', latest);
  if after is null or up_to <= after then
    return false;
  end if;
  with changes as (
    select
      date_trunc('hour', created_at) as hour,
      split_part(recipient, '@', 2) as domain,
      1 as sent,
      null::text as now_is,
      null::text as was,
      null::double precision as seconds
    from email_jobs
    where finished_at > after and finished_at <= up_to
      and state = 'sent'
    union all
    select
      date_trunc('hour', email_job_time(job_id)),
      recipient_domain,
      0,
      delivery,
      moved_from,
      case when delivery = 'delivered' then extract(epoch from occurred_at - email_job_time(job_id)) end
    from email_events
    where received_at > after and received_at <= up_to
      and moves
      and recipient_domain is not null
  ),
  summed as (
    select
      hour,
      domain,
      sum(sent) as sent,
      count(*) filter (where now_is = 'deferred') - count(*) filter (where was = 'deferred') as deferred,
      count(*) filter (where now_is = 'delivered') - count(*) filter (where was = 'delivered') as delivered,
      count(*) filter (where now_is = 'undelivered') - count(*) filter (where was = 'undelivered') as undelivered,
      count(*) filter (where now_is = 'bounced') - count(*) filter (where was = 'bounced') as bounced,
      count(*) filter (where now_is = 'complained') - count(*) filter (where was = 'complained') as complained,
      count(*) filter (where now_is = 'suppressed') - count(*) filter (where was = 'suppressed') as suppressed,
      count(*) filter (where seconds <= 1) as within_1s,
      count(*) filter (where seconds > 1 and seconds <= 2) as within_2s,
      count(*) filter (where seconds > 2 and seconds <= 3) as within_3s,
      count(*) filter (where seconds > 3 and seconds <= 5) as within_5s,
      count(*) filter (where seconds > 5 and seconds <= 10) as within_10s,
      count(*) filter (where seconds > 10 and seconds <= 20) as within_20s,
      count(*) filter (where seconds > 20 and seconds <= 60) as within_60s,
      count(*) filter (where seconds > 60 and seconds <= 180) as within_3m,
      count(*) filter (where seconds > 180 and seconds <= 600) as within_10m,
      count(*) filter (where seconds > 600 and seconds <= 3600) as within_1h,
      count(*) filter (where seconds > 3600) as later
    from changes
    group by hour, domain
  )
  insert into email_delivery_hours as kept
  select * from summed
  on conflict (hour, domain) do update
  set sent = kept.sent + excluded.sent,
    deferred = kept.deferred + excluded.deferred,
    delivered = kept.delivered + excluded.delivered,
    undelivered = kept.undelivered + excluded.undelivered,
    bounced = kept.bounced + excluded.bounced,
    complained = kept.complained + excluded.complained,
    suppressed = kept.suppressed + excluded.suppressed,
    within_1s = kept.within_1s + excluded.within_1s,
    within_2s = kept.within_2s + excluded.within_2s,
    within_3s = kept.within_3s + excluded.within_3s,
    within_5s = kept.within_5s + excluded.within_5s,
    within_10s = kept.within_10s + excluded.within_10s,
    within_20s = kept.within_20s + excluded.within_20s,
    within_60s = kept.within_60s + excluded.within_60s,
    within_3m = kept.within_3m + excluded.within_3m,
    within_10m = kept.within_10m + excluded.within_10m,
    within_1h = kept.within_1h + excluded.within_1h,
    later = kept.later + excluded.later;
  update email_rollup set rolled_up_to = up_to;
  return up_to < latest;
end $$;
comment on function email_roll_up is
  'Adds at most an hour of new jobs and events to email_delivery_hours. Returns true if there is more to add. Workers '
  'call it every 10 seconds.';

-- Interpolates linearly within the bucket that contains the quantile. The last bucket has no upper end, so for a
-- quantile in it the function returns its lower end.
create function email_quantile(bounds double precision[], counts bigint[], quantile double precision)
returns double precision
language plpgsql immutable as $$
declare
  wanted double precision := 0;
  seen double precision := 0;
  count bigint;
begin
  -- Loops instead of a query, because this is called for thousands of domains.
  foreach count in array counts loop
    wanted := wanted + count;
  end loop;
  if wanted = 0 then
    return null;
  end if;
  wanted := wanted * quantile;
  for n in 1..array_length(bounds, 1) loop
    if counts[n] > 0 and seen + counts[n] >= wanted then
      return coalesce(bounds[n - 1], 0) + (bounds[n] - coalesce(bounds[n - 1], 0)) * (wanted - seen) / counts[n];
    end if;
    seen := seen + counts[n];
  end loop;
  return bounds[array_length(bounds, 1)];
end $$;
comment on function email_quantile is
  'Estimates a quantile (0 to 1) of a histogram. bounds has the upper ends of all buckets but the last, counts the '
  'number of entries in every bucket. Null if the histogram is empty.';

create view email_delivery_by_domain with (security_invoker = true) as
with summed as (
  select
    domain,
    sum(sent) as sent,
    -- A mail with a complaint was delivered before.
    sum(delivered) + sum(complained) as delivered,
    sum(deferred) as deferred,
    sum(bounced) as bounced,
    sum(undelivered) as undelivered,
    sum(suppressed) as suppressed,
    sum(complained) as complained,
    array[
      sum(within_1s), sum(within_2s), sum(within_3s), sum(within_5s), sum(within_10s), sum(within_20s), sum(within_60s),
      sum(within_3m), sum(within_10m), sum(within_1h), sum(later)] as histogram
  from email_delivery_hours
  where hour > now() - interval '24 hours'
  group by domain
)
select
  domain,
  sent,
  delivered,
  deferred,
  bounced,
  undelivered,
  suppressed,
  complained,
  round(email_quantile('{1,2,3,5,10,20,60,180,600,3600}', histogram, 0.5)::numeric, 1) as p50_seconds,
  round(email_quantile('{1,2,3,5,10,20,60,180,600,3600}', histogram, 0.95)::numeric, 1) as p95_seconds
from summed
order by sent desc, domain;
comment on view email_delivery_by_domain is
  'Mails of the last 24 hours by recipient domain, the domain with the most mails first. Up to half a minute late.';
comment on column email_delivery_by_domain.domain is 'Domain of the recipient''s address.';
comment on column email_delivery_by_domain.sent is 'Number of mails that Mailgun accepted.';
comment on column email_delivery_by_domain.delivered is
  'Number of mails that the recipient''s server accepted, including those marked as spam later.';
comment on column email_delivery_by_domain.deferred is
  'Number of mails that are deferred now: the recipient''s server refused them for the time being, and Mailgun '
  'retries.';
comment on column email_delivery_by_domain.bounced is
  'Number of mails that the recipient''s server rejected permanently.';
comment on column email_delivery_by_domain.undelivered is
  'Number of mails that could not be delivered for other reasons: delivery took too long, the mailbox was full, a '
  'policy forbade it, or Mailgun rejected the mail.';
comment on column email_delivery_by_domain.suppressed is
  'Number of mails that Mailgun did not try to deliver, because the address is on one of its suppression lists.';
comment on column email_delivery_by_domain.complained is
  'Number of delivered mails that were marked as spam by their reader.';
comment on column email_delivery_by_domain.p50_seconds is
  'Median time from the request to the delivery, in seconds. Interpolated within a bucket of email_delivery_hours. '
  'Null if nothing was delivered.';
comment on column email_delivery_by_domain.p95_seconds is
  '95th percentile of the time from the request to the delivery, in seconds. Estimated like p50_seconds.';

select outbox_out_of_reach(relation)
from unnest(
  array['email_jobs_now', 'email_jobs_recent', 'email_failures_by_code', 'email_delivery_hours', 'email_rollup',
    'email_delivery_by_domain']::regclass[])
  as relation;
select outbox_runs_as_owner('email_roll_up'::regproc::regprocedure);
select outbox_out_of_reach('email_quantile'::regproc::regprocedure);
