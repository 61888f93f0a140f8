-- When a site opens its doors, next to everybody who asks is new: there is no quota to look at, nothing to decide, no
-- waiting job to end. A batch of which that is true is written by the statement that finds it to be true: one round trip
-- instead of two, and half of the work.
--
-- Whoever is known after all by the time of the write (another api was faster, or a job waits although the mailbox's row
-- was deleted by hand) is a collision (23505), and the batch goes the long way: email_read_recipients, email_add_jobs.
create function email_add_newcomers(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], client_networks text[], request_ids text[], traceparents text[], deadline interval)
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  now constant timestamptz := clock_timestamp();
  of_recipient timestamptz[];
  of_client jsonb;
begin
  return query
  select known.* from email_read_recipients(mailboxes, recipients) as known;
  if found then
    return;
  end if;

  -- One request of a window's whole quota is used up, see outbox/src/quota.rs.
  select array_agg(now + quota order by position) into of_recipient
  from unnest(quota_intervals) with ordinality as given (quota, position);
  select jsonb_agg(now + quota order by position) into of_client
  from unnest(client_quota_intervals) with ordinality as given (quota, position);
  insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
  select mailbox, of_recipient, jsonb_build_object(client, of_client), recipient, callback_url, now
  from unnest(mailboxes, client_networks, recipients, callback_urls) as given (mailbox, client, recipient, callback_url)
  -- By bytes, as everybody who writes them does: no two wait for each other in a circle.
  order by mailbox collate "C";

  -- nextval after the rows of quotas are ours: of two requests of one recipient the later has the larger seq.
  insert into email_jobs_open (
    id, recipient, mailbox, callback_url, created_at, run_at, deadline_at, request_id, traceparent, place, seq)
  select id, recipient, mailbox, callback_url, now, now, now + deadline, request_id, traceparent, seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents)
      with ordinality as given (id, recipient, mailbox, callback_url, request_id, traceparent, position)
    order by position
  ) as added;
end $$;
comment on function email_add_newcomers is
  'For the api: adds the requests of people of whom nothing is known; if something is known of any, tells it as email_read_recipients does, and adds nothing.';

select outbox_runs_as_owner('email_add_newcomers'::regproc::regprocedure);
