-- What a mail calls the portal. The api stores it with the job, because only the api knows the setting CALLBACK_ORIGINS: of
-- a wildcard entry, a stranger chooses the first label of the callback's host.

alter table email_jobs add column shown_host text;
-- Not validated: the rows that exist have null, and a check of a long history would hold up the programs.
alter table email_jobs
  add constraint shown_host_is_short check (octet_length(shown_host) between 1 and 512) not valid;
comment on column email_jobs.shown_host is
  'Host that the mail names as the portal''s, with its port if it has one, as CALLBACK_ORIGINS writes it: of a wildcard '
  'entry, what follows the wildcard. The caller of the api chooses no part of it. 1 to 512 bytes. Null if the job was added '
  'by an api that did not know this column.';
comment on column email_delivery_hours.undelivered is
  'Number of mails that could not be delivered for other reasons: delivery took too long, the mailbox was full, a policy '
  'forbade it, the server''s certificate could not be verified, or Mailgun rejected the mail.';

create or replace function email_job_ended(job email_jobs_open, state text, code text, message text, finished_at timestamptz)
returns setof email_jobs
language sql stable as $$
  select
    job.id, email_job_ended.state, job.delivery, job.recipient, job.callback_url, job.attempt,
    email_job_ended.code, email_job_ended.message,
    job.created_at, job.run_at, job.attempted_at, job.deadline_at, email_job_ended.finished_at,
    job.request_id, job.traceparent, job.message_id, job.worker,
    null::bigint, null::timestamptz, job.link_created_at,
    job.mailbox, job.place, job.seq, null::bytea, job.delivery_at,
    job.probed_at, job.refused_at, job.suspected_upstream, job.suspect_attempts,
    job.shown_host
$$;

-- As email_add_jobs and email_add_newcomers, with one more parameter. They have names of their own: a grant or revocation
-- that names no parameters fails if there are two functions of one name.
create function email_enqueue(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], shown_hosts text[],
  request_ids text[], traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns void
language plpgsql as $$
declare
  known constant int := cardinality(array_remove(quota_versions, null));
  moved_on int;
  superseded text[];
  places bigint[];
  probes timestamptz[];
  refusals timestamptz[];
  suspicions text[];
begin
  if not outbox_suits('api') then
    raise exception 'these tables need a newer version of the program' using errcode = 'OB001';
  end if;
  if known > 0 then
    update recipient_quotas as quota
    set tats = moved.tats::timestamptz[], clients = moved.clients, last_recipient = moved.last_recipient,
      last_callback_url = moved.last_callback_url, last_at = clock_timestamp()
    from unnest(quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls)
      as moved (key, version, tats, clients, last_recipient, last_callback_url)
    where quota.key = moved.key and quota.xmin::text::bigint = moved.version;
    get diagnostics moved_on = row_count;
    if moved_on < known then
      raise exception 'a recipient''s quota has changed since it was read' using errcode = 'serialization_failure';
    end if;
  end if;
  if known < cardinality(quota_keys) then
    insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
    select moved.key, moved.tats::timestamptz[], moved.clients, moved.last_recipient, moved.last_callback_url, clock_timestamp()
    from unnest(quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls)
      as moved (key, version, tats, clients, last_recipient, last_callback_url)
    where moved.version is null;
  end if;

  with gone as (
    delete from email_jobs_open as job
    using unnest(recipients, states) as added (recipient, state)
    where added.state = 'queued'
      and job.recipient = added.recipient
      and (job.state = 'running') is false
    returning job
  ),
  ended as (
    insert into email_jobs as past
    select ended.*
    from gone,
      email_job_ended(
        gone.job, 'superseded', 'newer_request', 'A newer request of this recipient took its place.', statement_timestamp()) as ended
    returning past.recipient, past.place, past.probed_at, past.refused_at, past.suspected_upstream
  )
  select
    array_agg(recipient), array_agg(place), array_agg(probed_at), array_agg(refused_at), array_agg(suspected_upstream)
  into superseded, places, probes, refusals, suspicions
  from ended;

  insert into email_jobs (
    id, state, recipient, mailbox, callback_url, shown_host, code, message, created_at, run_at, deadline_at, finished_at,
    request_id, traceparent, place, seq, probed_at, refused_at, suspected_upstream)
  select
    id, state, recipient, mailbox, callback_url, shown_host, code, message, now, now, now + deadline,
    case when state = 'queued' then 'infinity' else now end,
    request_id, traceparent, coalesce(places[array_position(superseded, recipient)], seq), seq,
    -- Inherited with the place. Otherwise asking again would buy every probe and another first refusal.
    case when state = 'queued' then probes[array_position(superseded, recipient)] end,
    case when state = 'queued' then refusals[array_position(superseded, recipient)] end,
    case when state = 'queued' then suspicions[array_position(superseded, recipient)] end
  from (
    -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
    -- one recipient gets the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(
      ids, recipients, mailboxes, callback_urls, shown_hosts, request_ids, traceparents, states, codes, messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, shown_host, request_id, traceparent, state, code, message, position)
    order by position
  ) as added;
end $$;
comment on function email_enqueue is
  'The api calls it last in an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their recipients, and '
  'updates their quotas. Fails with 40001 or 23505 if the quota rows are not as email_read_recipients() returned them.';

create function email_enqueue_newcomers(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], shown_hosts text[], client_networks text[], request_ids text[], traceparents text[],
  deadline interval)
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
  if not outbox_suits('api') then
    raise exception 'these tables need a newer version of the program' using errcode = 'OB001';
  end if;
  return query
  select known.* from email_read_recipients(mailboxes, recipients) as known;
  if found then
    return;
  end if;

  -- The TATs after the first request, as the api's quota rule computes them: now plus window ÷ limit.
  select array_agg(now + quota order by position) into of_recipient
  from unnest(quota_intervals) with ordinality as given (quota, position);
  select jsonb_agg(now + quota order by position) into of_client
  from unnest(client_quota_intervals) with ordinality as given (quota, position);
  insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
  select mailbox, of_recipient, jsonb_build_object(client, of_client), recipient, callback_url, now
  from unnest(mailboxes, client_networks, recipients, callback_urls) as given (mailbox, client, recipient, callback_url)
  -- Sorted by bytes, like all writes of quota rows, so that concurrent callers cannot deadlock.
  order by mailbox collate "C";

  -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
  -- one recipient gets the larger seq.
  insert into email_jobs_open (
    id, recipient, mailbox, callback_url, shown_host, created_at, run_at, deadline_at, request_id, traceparent, place, seq)
  select id, recipient, mailbox, callback_url, shown_host, now, now, now + deadline, request_id, traceparent, seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(ids, recipients, mailboxes, callback_urls, shown_hosts, request_ids, traceparents)
      with ordinality as given (id, recipient, mailbox, callback_url, shown_host, request_id, traceparent, position)
    order by position
  ) as added;
end $$;
comment on function email_enqueue_newcomers is
  'The api calls it for a batch of distinct mailboxes. If none of them has a quota row and none of the addresses is '
  'suppressed, adds the requests as jobs, sets their quotas and returns no rows. Otherwise adds nothing and returns what '
  'email_read_recipients() does. Fails with 23505 if another caller adds a mailbox at the same time, or if a recipient '
  'without a quota row has a waiting job.';

-- For apis of the previous version, for one release. `unnest` fills an array that is null up with nulls.
create or replace function email_add_jobs(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], request_ids text[],
  traceparents text[], states text[], codes text[], messages text[], deadline interval)
returns void
language plpgsql as $$
begin
  perform email_enqueue(
    quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls, ids, recipients, mailboxes,
    callback_urls, null, request_ids, traceparents, states, codes, messages, deadline);
end $$;
comment on function email_add_jobs is 'email_enqueue() for apis that do not know email_jobs.shown_host.';

create or replace function email_add_newcomers(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], client_networks text[], request_ids text[], traceparents text[], deadline interval)
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
begin
  return query
  select known.*
  from email_enqueue_newcomers(
    quota_intervals, client_quota_intervals, ids, recipients, mailboxes, callback_urls, null, client_networks, request_ids,
    traceparents, deadline) as known;
end $$;
comment on function email_add_newcomers is 'email_enqueue_newcomers() for apis that do not know email_jobs.shown_host.';

select outbox_runs_as_owner(routine)
from unnest(
  array['email_enqueue', 'email_enqueue_newcomers', 'email_add_jobs', 'email_add_newcomers']::regproc[]::regprocedure[])
  as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
begin
  if exists (select from pg_roles where rolname = 'magic_link_api') then
    grant execute on function email_enqueue, email_enqueue_newcomers to magic_link_api;
  end if;
end $$;
