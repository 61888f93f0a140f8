-- Suppressions: addresses that are temporarily not mailed, because an earlier mail showed that the mailbox does not
-- exist or that its reader wants no mail.

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
  'Addresses that are not mailed until a given time, because a mail showed that the mailbox does not exist or that its '
  'reader wants no mail. Workers delete rows RETENTION_DAYS after the end of the suppression. To lift a suppression at '
  'once: select email_lift_suppression(''ann@example.com'');';
comment on column suppressed_recipients.recipient is 'The address, as in email_jobs.recipient.';
comment on column suppressed_recipients.domain is 'Part of the address after the @. Generated.';
comment on column suppressed_recipients.reason is
  'bounce (the recipient''s server does not know the mailbox or the domain), complaint (the reader marked a mail as '
  'spam), or the Mailgun suppression list that the address is on: suppress-bounce, suppress-complaint, '
  'suppress-unsubscribe.';
comment on column suppressed_recipients.since is
  'When the reported event happened, by Mailgun''s clock, but never in the future.';
comment on column suppressed_recipients.until is
  'End of the suppression. For a bounce or an unsubscribe 1 hour after since for the first time in a row, 1 day for '
  'the second, 7 days for any further; always 24 hours for a complaint. Equal to since (not suppressed) if more than '
  '20 addresses of the domain were reported within 10 minutes, which points to a fault of the domain''s server.';
comment on column suppressed_recipients.times is
  'Number of suppressions in a row. A delivered mail deletes the row, unless the reason is a complaint.';
comment on column suppressed_recipients.job_id is 'Job whose mail was reported: email_jobs.id.';
comment on column suppressed_recipients.listed is
  'Whether the address is known to be on one of Mailgun''s suppression lists. When a worker finds that it no longer '
  'is, it deletes the row.';
comment on column suppressed_recipients.checked_at is
  'When a worker last looked the address up in Mailgun''s suppression lists. Null if no worker has since the last '
  'report.';
create index suppressed_recipients_of_domain on suppressed_recipients (domain, since);
comment on index suppressed_recipients_of_domain is 'Suppressions of one domain by time, to count the recent ones.';

create table suppression_lifts (
  recipient    text        primary key,
  requested_at timestamptz not null default clock_timestamp()
);
comment on table suppression_lifts is
  'Addresses that a worker still has to remove from Mailgun''s suppression lists. email_lift_suppression() adds rows, '
  'the worker deletes them.';
comment on column suppression_lifts.recipient is 'The address, in lower case.';
comment on column suppression_lifts.requested_at is
  'When email_lift_suppression() was called. Workers process the oldest first.';

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
  'Lifts the suppression of an address at once, and asks the workers to remove it from Mailgun''s lists of bounces, '
  'complaints and unsubscribes (they need a MAILGUN_EVENTS_KEY). Returns whether suppressed_recipients had the '
  'address.';

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
comment on function email_suppression_time is
  'How long an address is suppressed for this reason, the given number of times in a row: 0 for less than 1, 24 hours '
  'for complaints, else 1 hour, 1 day, and then 7 days.';

-- email_suppress looks up few rows by key, so it turns hash joins off. Its caller, email_take_reports, turns them on.
create function email_suppress(told jsonb) returns table (recipient text, outcome text)
language plpgsql set enable_hashjoin = off as $$
#variable_conflict use_column
declare
  -- If more addresses of one domain than this are newly reported within the window, the domain's server is at fault and
  -- not the mailboxes.
  most_of_a_domain constant integer := 20;
  the_window constant interval := '10 minutes';
begin
  return query
  with given as (
    -- If a recipient was reported several times, only the last report counts.
    select distinct on (t.recipient) t.recipient, t.suppression, t.job, least(t.occurred_at, clock_timestamp()) as at
    from jsonb_to_recordset(told) as t (recipient text, suppression text, job uuid, occurred_at timestamptz)
    where t.suppression is not null
    order by t.recipient, t.occurred_at desc
  ),
  fresh as (
    select given.*, split_part(given.recipient, '@', 2) as domain, coalesce(old.times, 0) as times
    from given
    left join suppressed_recipients as old on old.recipient = given.recipient
    -- An event during the suppression is about a mail that was already on its way, so it does not count again.
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

  -- Also end the earlier suppressions within the window of such a domain, from before the limit was reached.
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

  -- A delivered mail shows that the mailbox exists.
  delete from suppressed_recipients as gone
  using jsonb_to_recordset(told) as t (recipient text, delivery text, occurred_at timestamptz)
  where gone.recipient = t.recipient
    and t.delivery = 'delivered'
    and t.occurred_at > gone.since
    and gone.reason not like '%complaint';
end $$;
comment on function email_suppress is
  'Part of email_take_reports(): suppresses the recipients of the given reports or lifts their suppression. Returns '
  'each newly reported recipient with suppressed, or with held_back if too many of its domain were reported at once.';

select outbox_out_of_reach(relation)
from unnest(array['suppressed_recipients', 'suppression_lifts']::regclass[]) as relation;
select outbox_out_of_reach(routine)
from unnest(array['email_lift_suppression', 'email_suppression_time', 'email_suppress']::regproc[]::regprocedure[])
  as routine;
