-- How mail arrives at each domain: counted by the hour, so that a look at a day costs the same whatever the day was like.

-- The history is written in the order of this column, so a few pages tell where an hour of it lies.
create index email_jobs_finished on email_jobs using brin (finished_at) with (pages_per_range = 16, autosummarize = on);
comment on index email_jobs_finished is 'Where in the history a time lies.';
create index email_events_received on email_events using brin (received_at) with (pages_per_range = 16, autosummarize = on);
comment on index email_events_received is 'Where in the events a time lies.';

-- A column per bucket: sums of columns are several times as fast as sums of arrays.
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
  'Mails by the hour of their request and the recipient''s domain: how many were sent, what became of them, and how long the delivered ones took. Kept up to date by the workers, some seconds behind.';
comment on column email_delivery_hours.hour is 'The hour of the request.';
comment on column email_delivery_hours.domain is 'The recipient''s domain.';
comment on column email_delivery_hours.sent is 'Mails that Mailgun took.';
comment on column email_delivery_hours.deferred is 'Of these, in this state now: the mailbox''s server wants it later.';
comment on column email_delivery_hours.delivered is 'The mailbox''s server took it. A complaint moves a mail on to complained.';
comment on column email_delivery_hours.undelivered is 'Given up: too late, too full, or against a policy.';
comment on column email_delivery_hours.bounced is 'Refused for good.';
comment on column email_delivery_hours.complained is 'Delivered, and called spam by its reader.';
comment on column email_delivery_hours.suppressed is 'Not tried by Mailgun: on one of its lists.';
comment on column email_delivery_hours.within_1s is 'Delivered within a second of the request.';
comment on column email_delivery_hours.within_2s is 'Delivered within 2 seconds, and not within a second.';
comment on column email_delivery_hours.within_3s is 'Delivered within 3 seconds, and not within 2 seconds.';
comment on column email_delivery_hours.within_5s is 'Delivered within 5 seconds, and not within 3 seconds.';
comment on column email_delivery_hours.within_10s is 'Delivered within 10 seconds, and not within 5 seconds.';
comment on column email_delivery_hours.within_20s is 'Delivered within 20 seconds, and not within 10 seconds.';
comment on column email_delivery_hours.within_60s is 'Delivered within 60 seconds, and not within 20 seconds.';
comment on column email_delivery_hours.within_3m is 'Delivered within 3 minutes, and not within 60 seconds.';
comment on column email_delivery_hours.within_10m is 'Delivered within 10 minutes, and not within 3 minutes.';
comment on column email_delivery_hours.within_1h is 'Delivered within an hour, and not within 10 minutes.';
comment on column email_delivery_hours.later is 'Delivered after more than an hour.';

create table email_rollup (
  rolled_up_to timestamptz not null
);
comment on table email_rollup is 'One row: email_delivery_hours holds what ended, or was reported, up to this time.';
comment on column email_rollup.rolled_up_to is 'Workers go on from here.';
insert into email_rollup values (clock_timestamp());

-- Counts what has come since the last time. Rows become visible a little after the time that they bear, as their
-- statements commit: what is younger than the longest statement takes (10 s) is left for the next time. One call counts
-- at most an hour, so that it ends in time also after a long rest; true tells that there is more.
create function email_roll_up() returns boolean
language plpgsql as $$
declare
  after timestamptz;
  latest timestamptz := clock_timestamp() - interval '15 seconds';
  up_to timestamptz;
begin
  -- Nothing where another worker is at it.
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
comment on function email_roll_up is 'Brings email_delivery_hours up to date, by an hour at most; true if there is more. Workers call it every few seconds.';

-- A quantile of a histogram, in seconds: where in its bucket it lies is guessed, as if the bucket were evenly filled.
-- Null of an empty one; the last bucket is open, and taken for its beginning.
create function email_quantile(bounds double precision[], counts bigint[], quantile double precision)
returns double precision
language plpgsql immutable as $$
declare
  wanted double precision := 0;
  seen double precision := 0;
  count bigint;
begin
  -- Loops, and no query: this is called for thousands of domains.
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
comment on function email_quantile is 'A quantile of a histogram of seconds, of which bounds are the upper ends of all buckets but the last.';

create view email_delivery_by_domain with (security_invoker = true) as
with summed as (
  select
    domain,
    sum(sent) as sent,
    -- Once delivered, a complaint too.
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
  'Mails of the last 24 hours by the recipient''s domain, the busiest first. Up to half a minute behind.';
comment on column email_delivery_by_domain.domain is 'The recipient''s domain.';
comment on column email_delivery_by_domain.sent is 'Mails that Mailgun took.';
comment on column email_delivery_by_domain.delivered is 'Of these, taken by the mailbox''s server.';
comment on column email_delivery_by_domain.deferred is 'Wanted later by the mailbox''s server; Mailgun tries again.';
comment on column email_delivery_by_domain.bounced is 'Refused for good.';
comment on column email_delivery_by_domain.undelivered is 'Given up: too late, too full, or against a policy.';
comment on column email_delivery_by_domain.suppressed is 'Not tried by Mailgun: on one of its lists.';
comment on column email_delivery_by_domain.complained is 'Delivered, and called spam by the reader.';
comment on column email_delivery_by_domain.p50_seconds is 'From the request to the mailbox''s server, for half of the delivered ones; within a bucket it is a guess.';
comment on column email_delivery_by_domain.p95_seconds is 'The same, for 95 of 100.';

select outbox_runs_as_owner('email_roll_up'::regproc::regprocedure);
select outbox_out_of_reach('email_quantile'::regproc::regprocedure);
select outbox_out_of_reach(relation)
from unnest(array['email_delivery_hours', 'email_rollup', 'email_delivery_by_domain']::regclass[]) as relation;
