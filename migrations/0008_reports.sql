-- What Mailgun reports is taken in by one function, many reports at a time, and decides whom we still write to.

-- The function runs as the tables' owner, so that the api may report without being able to read the history.
create function outbox_runs_as_owner(routine regprocedure) returns void
language plpgsql as $$
begin
  -- A caller's own schemas, the temporary one included, must not stand in for ours.
  execute format('alter function %s security definer set search_path = %I, pg_temp', routine, current_schema());
  perform outbox_out_of_reach(routine);
end $$;
comment on function outbox_runs_as_owner is
  'Makes a function run with its owner''s rights, in our schema only, out of reach of public, anon and authenticated.';
select outbox_out_of_reach('outbox_runs_as_owner'::regproc::regprocedure);

alter table email_events
  add column recipient_domain text,
  add column moves boolean not null default false,
  add column moved_from text;
comment on column email_events.recipient_domain is 'The part of the recipient''s address behind the @.';
comment on column email_events.moves is 'Whether this event set email_jobs.delivery.';
comment on column email_events.moved_from is 'If so: what email_jobs.delivery was before.';
alter table email_events add constraint a_domain_is_short check (octet_length(recipient_domain) <= 254);

create table suppressed_recipients (
  recipient  text        primary key,
  domain     text        not null generated always as (split_part(recipient, '@', 2)) stored,
  reason     text        not null,
  since      timestamptz not null,
  until      timestamptz not null,
  times      smallint    not null,
  job_id     uuid        not null,
  listed     boolean     not null default false,
  checked_at timestamptz,

  constraint reason_is_known check (
    reason in ('bounce', 'complaint', 'suppress-bounce', 'suppress-complaint', 'suppress-unsubscribe')),
  constraint sizes_are_sane check (octet_length(recipient) between 3 and 254 and times >= 0)
);
comment on table suppressed_recipients is
  'Addresses that are not mailed for a while, since the last mail said that there is no such mailbox, or that its reader does not want any. To lift one at once: select email_lift_suppression(''ann@example.com'');';
comment on column suppressed_recipients.recipient is 'The address, as in email_jobs.';
comment on column suppressed_recipients.domain is 'Its part behind the @.';
comment on column suppressed_recipients.reason is
  'bounce (the mailbox''s server knows no such user), complaint (its reader called a mail spam), or Mailgun''s own list: suppress-bounce, suppress-complaint, suppress-unsubscribe.';
comment on column suppressed_recipients.since is 'When that was reported, by Mailgun''s clock.';
comment on column suppressed_recipients.until is
  'Mailed again from then on: 1 hour after the first time, 1 day after the second, 7 days after each further; 24 hours after a complaint. The same as since where so many addresses of the domain were reported at once that none of them counts.';
comment on column suppressed_recipients.times is 'How many times in a row. A mail that is delivered deletes the row.';
comment on column suppressed_recipients.job_id is 'The job whose mail it was.';
comment on column suppressed_recipients.listed is 'Whether the address is known to be on a list of Mailgun''s: once it is gone from there, the row goes too.';
comment on column suppressed_recipients.checked_at is 'When Mailgun''s lists were last asked.';
create index suppressed_recipients_of_domain on suppressed_recipients (domain, since);
comment on index suppressed_recipients_of_domain is 'New suppressions of one domain, for the limit on them.';

create table suppression_lifts (
  recipient    text        primary key,
  requested_at timestamptz not null default clock_timestamp()
);
comment on table suppression_lifts is 'Addresses that a worker is yet to take off Mailgun''s own lists: see email_lift_suppression().';
comment on column suppression_lifts.recipient is 'The address.';
comment on column suppression_lifts.requested_at is 'When it was asked for.';

create function email_lift_suppression(address text) returns boolean
language plpgsql as $$
declare
  was_suppressed boolean;
begin
  delete from suppressed_recipients where recipient = lower(trim(address));
  was_suppressed := found;
  insert into suppression_lifts (recipient) values (lower(trim(address))) on conflict do nothing;
  return was_suppressed;
end $$;
comment on function email_lift_suppression is
  'Lets an address be mailed again at once, and has a worker take it off Mailgun''s lists of bounces, complaints and unsubscribes (if it has a MAILGUN_EVENTS_KEY). True if it was suppressed here.';

-- How long an address is left alone, the nth time in a row.
create function email_suppression_time(reason text, times integer) returns interval
language sql immutable as $$
  select case
    when times < 1 then interval '0'
    when reason like '%complaint' then interval '24 hours'
    when times = 1 then interval '1 hour'
    when times = 2 then interval '1 day'
    else interval '7 days'
  end
$$;
comment on function email_suppression_time is 'How long an address is not mailed, the nth time in a row.';

-- The recipients of reports that were told on their jobs: suppresses them, or lifts it. Tells those newly
-- suppressed, and those that are not because too many of their domain were.
create function email_suppress(told jsonb) returns table (recipient text, outcome text)
language plpgsql as $$
#variable_conflict use_column
declare
  -- More new ones than this of one domain within the window: the domain's server is broken, not its mailboxes.
  most_of_a_domain constant integer := 20;
  the_window constant interval := '10 minutes';
begin
  return query
  with given as (
    -- Of several of one recipient the last.
    select distinct on (t.recipient) t.recipient, t.suppression, t.job, least(t.occurred_at, clock_timestamp()) as at
    from jsonb_to_recordset(told) as t (recipient text, suppression text, job uuid, occurred_at timestamptz)
    where t.suppression is not null
    order by t.recipient, t.occurred_at desc
  ),
  fresh as (
    select given.*, split_part(given.recipient, '@', 2) as domain, coalesce(old.times, 0) as times
    from given
    left join suppressed_recipients as old on old.recipient = given.recipient
    -- A second mail that was on its way bounces too: that is not another time.
    where old.recipient is null or given.at > old.until
  ),
  counted as (
    select
      fresh.*,
      row_number() over (partition by fresh.domain order by fresh.at, fresh.recipient)
        + (select count(*) from suppressed_recipients as others
           where others.domain = fresh.domain
             and others.recipient <> fresh.recipient
             and others.since between fresh.at - the_window and fresh.at + the_window) > most_of_a_domain as crowded
    from fresh
  ),
  added as (
    insert into suppressed_recipients as old (recipient, reason, since, until, times, job_id, listed)
    select
      c.recipient,
      c.suppression,
      c.at,
      c.at + case when c.crowded then interval '0' else email_suppression_time(c.suppression, c.times + 1) end,
      case when c.crowded then c.times else c.times + 1 end,
      c.job,
      c.suppression like 'suppress-%'
    from counted as c
    order by c.recipient
    on conflict (recipient) do update
    set reason = excluded.reason, since = excluded.since, until = excluded.until, times = excluded.times,
      job_id = excluded.job_id, listed = excluded.listed, checked_at = null
    returning old.recipient, old.until = old.since as held_back
  )
  select added.recipient, case when held_back then 'held_back' else 'suppressed' end from added;

  -- Those of a crowded domain that came before the crowd was seen do not count either.
  update suppressed_recipients as early
  set until = early.since, times = early.times - 1
  from (
    select distinct crowd.domain, crowd.since
    from suppressed_recipients as crowd
    where crowd.recipient in (select t.recipient from jsonb_to_recordset(told) as t (recipient text))
      and crowd.until = crowd.since
  ) as crowd
  where early.domain = crowd.domain
    and early.since between crowd.since - the_window and crowd.since + the_window
    and early.until > early.since;

  -- A mail that arrived shows that the mailbox is there.
  delete from suppressed_recipients as gone
  using jsonb_to_recordset(told) as t (recipient text, delivery text, occurred_at timestamptz)
  where gone.recipient = t.recipient
    and t.delivery = 'delivered'
    and t.occurred_at > gone.since
    and gone.reason not like '%complaint';
end $$;
comment on function email_suppress is 'Part of email_take_reports(): who is not mailed for a while, after what was reported.';

-- The time in a UUIDv7.
create function email_job_time(id uuid) returns timestamptz
language sql immutable strict parallel safe as $$
  select to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0)
$$;
comment on function email_job_time is 'When a job was accepted, to the millisecond: its id (UUIDv7) begins with that.';

-- Takes a batch of reports in: for each its outcome, in the order given. One call is one commit, so that a token is
-- remembered if and only if what came with it was told. Rows are locked in one order (jobs by id, tokens, suppressed
-- recipients), so that callers at the same time do not wait for each other in a circle.
create function email_take_reports(reports jsonb) returns jsonb
language plpgsql as $$
declare
  ids uuid[];
  -- The days that these jobs can be in: a job ends within its deadline, which is at most a day, and what a rescue adds;
  -- its id bears the time of the api's clock, which may be wrong.
  first_end timestamptz;
  last_end timestamptz;
  new_tokens text[];
  outcomes jsonb;
  told jsonb;
  suppressions jsonb;
begin
  select array_agg(r.job), min(email_job_time(r.job)) - interval '1 day', max(email_job_time(r.job)) + interval '2 days'
  into ids, first_end, last_end
  from jsonb_to_recordset(reports) as r (job uuid);

  -- A job that ends this moment is neither in the one partition nor yet in the other; a moment later it is.
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
        -- Looked up for each: a join might read all tokens for it.
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
      -- What was said of a mail that Mailgun seemed not to know.
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
  select jsonb_agg(
    jsonb_build_object(
      'outcome', case
        when tokens.verdict <> 'new' then tokens.verdict
        when matched.position is null then 'unmatched'
        when matched.is_new then 'recorded'
        else 'known'
      end,
      'moved_to', furthest.delivery)
    order by tokens.position)
  into outcomes
  from tokens
  left join matched on matched.position = tokens.position
  left join furthest on furthest.position = tokens.position;

  select jsonb_agg(r.report order by r.position)
  into told
  from jsonb_array_elements(reports) with ordinality as r (report, position)
  where outcomes -> (r.position::integer - 1) ->> 'outcome' = 'recorded'
    and (r.report ->> 'suppression' is not null or r.report ->> 'delivery' = 'delivered');
  if told is null then
    return coalesce(outcomes, '[]');
  end if;
  select jsonb_object_agg(s.recipient, s.outcome) into suppressions from email_suppress(told) as s;
  if suppressions is null then
    return outcomes;
  end if;
  return (
    select jsonb_agg(
      case
        when o.outcome ->> 'outcome' = 'recorded' and r.report ->> 'suppression' is not null
          and suppressions ? (r.report ->> 'recipient')
          then o.outcome || jsonb_build_object('suppression', suppressions ->> (r.report ->> 'recipient'))
        else o.outcome
      end
      order by o.position)
    from jsonb_array_elements(outcomes) with ordinality as o (outcome, position)
    join jsonb_array_elements(reports) with ordinality as r (report, position) on r.position = o.position);
end $$;
comment on function email_take_reports is
  'Takes Mailgun''s reports in: remembers their tokens, keeps the events, moves email_jobs.delivery, and suppresses recipients.';

select outbox_runs_as_owner('email_take_reports'::regproc::regprocedure);
-- Programs switch joins by hash off on their connections, since their statements look a few rows up by keys. Here the
-- steps of one batch are joined with each other; what is looked up in tables is by key all the same.
alter function email_take_reports set enable_hashjoin = on;
alter function email_take_reports set enable_bitmapscan = off;
alter function email_suppress set enable_hashjoin = off;
select outbox_out_of_reach(routine)
from unnest(array['email_lift_suppression', 'email_suppression_time', 'email_suppress', 'email_job_time']::regproc[]::regprocedure[]) as routine;
select outbox_out_of_reach(relation)
from unnest(array['suppressed_recipients', 'suppression_lifts']::regclass[]) as relation;
