-- The portals of a deployment (PORTALS_FILE). Each job belongs to a portal, whose settings its mail uses. A portal can have its own
-- quota and its own deadline. Programs report which portals they know, so that the api can tell whether a worker can mail a job.

alter table email_jobs add column portal text;
-- Not validated: the rows that exist have null, and a check of a long history would hold up the programs.
alter table email_jobs
  add constraint portal_is_an_id check (portal ~ '^[a-z0-9][a-z0-9-]{0,31}$') not valid;
comment on column email_jobs.portal is
  'Id of the portal that the person signs in to, from PORTALS_FILE: 1 to 32 of a-z, 0-9 and -. It chooses the settings of the '
  'mail. Null if the deployment has no PORTALS_FILE, or if the job was added by an api that did not know this column.';
comment on column email_jobs.deadline_at is
  'When the job expires: created_at plus JOB_DEADLINE, or plus the deadline of its portal. A job that was not sent by then ends as '
  'expired.';

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
    job.shown_host, job.language, job.time_zone, job.portal
$$;

-- A worker of an earlier version would mail a portal's job with the settings of its own environment: another sender, and links of
-- another Supabase project. So the first job of a portal excludes such workers. Deployments without portals keep them.
create function outbox_excludes_older_workers() returns void
language sql as $$
  update outbox_schema set worker_from = 19 where worker_from < 19
$$;
comment on function outbox_excludes_older_workers is
  'Raises outbox_schema.worker_from to the first version that knows portals. Called whenever a job with a portal is added.';
comment on table outbox_schema is
  'Oldest versions of the programs that may use these tables, in one row. A migration raises the numbers if an older program '
  'would misread or damage rows, and the first job with a portal raises worker_from to 19. Other migrations leave them unchanged, '
  'and older programs continue to work.';
select outbox_out_of_reach('outbox_excludes_older_workers'::regproc::regprocedure);

-- As email_enqueue_batch and email_enqueue_newcomer_batch, with portals, their quotas, and a deadline per job. They have names of
-- their own: a grant or revocation that names no parameters fails if there are two functions of one name.
create function email_enqueue_jobs(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], shown_hosts text[],
  languages text[], time_zones text[], portals text[], request_ids text[], traceparents text[], states text[], codes text[],
  messages text[], deadlines interval[])
returns table (job_id uuid, job_request_id text, job_portal text, attempts smallint, requested_at timestamptz)
language plpgsql as $$
declare
  known constant int := cardinality(array_remove(quota_versions, null));
  moved_on int;
  superseded text[];
  places bigint[];
  probes timestamptz[];
  refusals timestamptz[];
  suspicions text[];
  superseded_ids uuid[];
  superseded_request_ids text[];
  superseded_portals text[];
  superseded_attempts smallint[];
  superseded_created_at timestamptz[];
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

  if array_remove(portals, null) <> '{}' then
    perform outbox_excludes_older_workers();
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
        gone.job, 'superseded', 'newer_request', 'A newer request of this recipient took its place.',
        statement_timestamp()) as ended
    returning
      past.recipient, past.place, past.probed_at, past.refused_at, past.suspected_upstream, past.id, past.request_id,
      past.portal, past.attempt, past.created_at
  )
  select
    array_agg(recipient), array_agg(place), array_agg(probed_at), array_agg(refused_at), array_agg(suspected_upstream),
    array_agg(id), array_agg(request_id), array_agg(portal), array_agg(attempt), array_agg(created_at)
  into
    superseded, places, probes, refusals, suspicions,
    superseded_ids, superseded_request_ids, superseded_portals, superseded_attempts, superseded_created_at
  from ended;

  insert into email_jobs (
    id, state, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, code, message, created_at, run_at,
    deadline_at, finished_at, request_id, traceparent, place, seq, probed_at, refused_at, suspected_upstream)
  select
    id, state, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, code, message, now, now,
    now + deadline,
    case when state = 'queued' then 'infinity' else now end,
    request_id, traceparent, coalesce(places[array_position(superseded, recipient)], seq), seq,
    -- The new job keeps these along with its place in the queue. Otherwise, each new request would reset them.
    case when state = 'queued' then probes[array_position(superseded, recipient)] end,
    case when state = 'queued' then refusals[array_position(superseded, recipient)] end,
    case when state = 'queued' then suspicions[array_position(superseded, recipient)] end
  from (
    -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
    -- one recipient gets the larger seq.
    select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
    from unnest(
      ids, recipients, mailboxes, callback_urls, shown_hosts, languages, time_zones, portals, request_ids, traceparents, states,
      codes, messages, deadlines)
      with ordinality as given (
        id, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, request_id, traceparent, state, code,
        message, deadline, position)
    order by position
  ) as added;

  return query
  select ended.*
  from unnest(superseded_ids, superseded_request_ids, superseded_portals, superseded_attempts, superseded_created_at) as ended;
end $$;
comment on function email_enqueue_jobs is
  'The api calls it last in an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their recipients, and '
  'updates their quotas. Returns the superseded jobs. Fails with 40001 or 23505 if the quota rows are not as '
  'email_read_recipients() returned them.';

create function email_enqueue_newcomer_jobs(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], shown_hosts text[], languages text[], time_zones text[], portals text[], portal_quota_intervals text[],
  client_networks text[], request_ids text[], traceparents text[], deadlines interval[])
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
  if array_remove(portal_quota_intervals, null) <> '{}' then
    insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
    select
      mailbox, of_recipient,
      case
        when portal_quota is null then jsonb_build_object(client, of_client)
        else jsonb_build_object(
          client, of_client,
          'portal:' || portal, (
            select jsonb_agg(now + quota order by position)
            from unnest(portal_quota::interval[]) with ordinality as given (quota, position)
          ))
      end,
      recipient, callback_url, now
    from unnest(mailboxes, client_networks, portals, portal_quota_intervals, recipients, callback_urls)
      as given (mailbox, client, portal, portal_quota, recipient, callback_url)
    order by mailbox collate "C";
  else
    -- The same without portals. Without this shorter statement, newcomers would take a tenth longer.
    insert into recipient_quotas (key, tats, clients, last_recipient, last_callback_url, last_at)
    select mailbox, of_recipient, jsonb_build_object(client, of_client), recipient, callback_url, now
    from unnest(mailboxes, client_networks, recipients, callback_urls) as given (mailbox, client, recipient, callback_url)
    -- Sorted by bytes, like all writes of quota rows, so that concurrent callers cannot deadlock.
    order by mailbox collate "C";
  end if;

  if array_remove(portals, null) <> '{}' then
    perform outbox_excludes_older_workers();
  end if;

  -- nextval is called only after the quota rows are written and thereby locked, so that the later of two requests of
  -- one recipient gets the larger seq.
  insert into email_jobs_open (
    id, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, created_at, run_at, deadline_at, request_id,
    traceparent, place, seq)
  select
    id, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, now, now, now + deadline, request_id,
    traceparent, seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(
      ids, recipients, mailboxes, callback_urls, shown_hosts, languages, time_zones, portals, request_ids, traceparents, deadlines)
      with ordinality as given (
        id, recipient, mailbox, callback_url, shown_host, language, time_zone, portal, request_id, traceparent, deadline, position)
    order by position
  ) as added;
end $$;
comment on function email_enqueue_newcomer_jobs is
  'The api calls it for a batch of distinct mailboxes. If none of them has a quota row and none of the addresses is '
  'suppressed, adds the requests as jobs, sets their quotas and returns no rows. Otherwise adds nothing and returns what '
  'email_read_recipients() does. Fails with 23505 if another caller adds a mailbox at the same time, or if a recipient '
  'without a quota row has a waiting job. portal_quota_intervals has an interval[] literal for each request of a portal with '
  'a quota of its own, and null for the others.';

comment on column recipient_quotas.clients is
  'Theoretical arrival times of RECIPIENT_CLIENT_RATE_LIMIT per client network, and of the portals'' own quotas per portal: '
  '{"203.0.113.7": [time, …], "portal:shop": [time, …]}. Entries whose windows are all unused are removed when the next request '
  'is accepted.';
comment on table recipient_quotas is
  'Mail quotas per mailbox, per mailbox and client network, and per mailbox and portal. To let a person make requests again at '
  'once, delete the row of the mailbox. Workers delete rows that no longer limit anything.';

-- For apis of the previous version, for one release.
create or replace function email_enqueue_batch(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], shown_hosts text[],
  languages text[], time_zones text[], request_ids text[], traceparents text[], states text[], codes text[], messages text[],
  deadline interval)
returns table (job_id uuid, job_request_id text, attempts smallint, requested_at timestamptz)
language plpgsql as $$
begin
  return query
  select ended.job_id, ended.job_request_id, ended.attempts, ended.requested_at
  from email_enqueue_jobs(
    quota_keys, quota_versions, quota_tats, quota_clients, quota_recipients, quota_callback_urls, ids, recipients, mailboxes,
    callback_urls, shown_hosts, languages, time_zones, null, request_ids, traceparents, states, codes, messages,
    array_fill(deadline, array[cardinality(ids)])) as ended;
end $$;
comment on function email_enqueue_batch is 'email_enqueue_jobs() for apis that do not know email_jobs.portal.';

create or replace function email_enqueue_newcomer_batch(
  quota_intervals interval[], client_quota_intervals interval[], ids uuid[], recipients text[], mailboxes text[],
  callback_urls text[], shown_hosts text[], languages text[], time_zones text[], client_networks text[], request_ids text[],
  traceparents text[], deadline interval)
returns table (
  key text, version bigint, tats timestamptz[], clients jsonb, last_recipient text, last_callback_url text,
  last_at timestamptz, suppressed_for text, suppressed_until timestamptz)
language plpgsql as $$
begin
  return query
  select known.*
  from email_enqueue_newcomer_jobs(
    quota_intervals, client_quota_intervals, ids, recipients, mailboxes, callback_urls, shown_hosts, languages, time_zones,
    null, null, client_networks, request_ids, traceparents, array_fill(deadline, array[cardinality(ids)])) as known;
end $$;
comment on function email_enqueue_newcomer_batch is
  'email_enqueue_newcomer_jobs() for apis that do not know email_jobs.portal.';

-- What operators see.

create or replace view email_jobs_now with (security_invoker = true) as
select
  state,
  code,
  count(*) as jobs,
  date_trunc('second', clock_timestamp() - min(created_at)) as oldest,
  min(run_at) filter (where state = 'retrying') as next_try,
  portal
from email_jobs
where finished_at = 'infinity'
group by state, code, portal
order by state, jobs desc;
comment on view email_jobs_now is 'Open jobs, counted by state, by the reason of their last failure, and by portal.';
comment on column email_jobs_now.portal is 'Id of the jobs'' portal, as in email_jobs.portal. Null without a portal.';

create or replace view email_jobs_recent with (security_invoker = true) as
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
  id,
  portal
from email_jobs
order by id desc;
comment on column email_jobs_recent.portal is 'Id of the job''s portal, as in email_jobs.portal. Null without a portal.';

create or replace view email_failures_by_code with (security_invoker = true) as
select
  code,
  state,
  count(*) as jobs,
  max(finished_at) as last_at,
  (array_agg(message order by finished_at desc))[1] as last_message,
  portal
from email_jobs
where state in ('failed', 'expired')
  and finished_at > now() - interval '1 day'
  and finished_at <= now()
group by code, state, portal
order by jobs desc;
comment on view email_failures_by_code is
  'Jobs that failed or expired in the last 24 hours, counted by reason and by portal.';
comment on column email_failures_by_code.portal is
  'Id of the jobs'' portal, as in email_jobs.portal. Null without a portal.';

-- Each program reports the portals that it knows.
alter table email_programs add column portals text[];
alter table email_programs
  add constraint portals_are_sane check (cardinality(portals) <= 10000) not valid;
comment on column email_programs.portals is
  'Ids of the portals in PORTALS_FILE, as of the program''s last report. Null without PORTALS_FILE, and for a program that did not '
  'know this column.';

create or replace view email_programs_now with (security_invoker = true) as
select
  kind,
  name,
  version,
  commit,
  migration,
  max_connections,
  array_to_string(sealing_keys, ' ') as sealing_keys,
  started_at,
  date_trunc('second', clock_timestamp() - seen_at) as seen_ago,
  link_style,
  array_to_string(confirm_keys, ' ') as confirm_keys,
  array_to_string(portals, ' ') as portals
from email_programs
where seen_at > clock_timestamp() - interval '30 seconds'
order by kind, started_at;
comment on column email_programs_now.portals is
  'Ids of the portals that the program knows. Null without PORTALS_FILE.';

create or replace view email_programs_summary with (security_invoker = true) as
with program as (
  select * from email_programs_now
),
total as (
  select
    count(*) filter (where kind = 'api') as apis,
    count(*) filter (where kind = 'worker') as workers,
    coalesce(sum(max_connections), 0) as max_connections,
    -- Connections that the server, or the database, allows to users who are not superusers.
    least(
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
      (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
    ) as connections_allowed,
    array_agg(distinct concat_ws(' ', version, commit)) as versions,
    array_agg(distinct sealing_keys) filter (where kind = 'worker') as sealing_keys
  from program
),
warning as (
  select
    'too_few_connections' as code,
    format(
      'All programs together may open %s connections, but the server allows %s: raise max_connections, or lower '
      'DATABASE_MAX_CONNECTIONS.', max_connections, connections_allowed) as message
  from total
  where max_connections > connections_allowed
  union all
  -- One pair is enough as an example.
  (select
    'sealing_keys_differ',
    format(
      'The worker %s cannot open links that %s has sealed. If it takes over their jobs, it mails new links, and those that '
      'were mailed before no longer work. Give all workers the same LINK_SEALING_KEY.', reader.name, sealer.name)
  from program as reader
    join program as sealer on split_part(sealer.sealing_keys, ' ', 1) <> all (string_to_array(reader.sealing_keys, ' '))
  order by reader.started_at, sealer.started_at
  limit 1)
  union all
  (select
    'confirm_keys_differ',
    format(
      'The %s %s cannot read the links that the worker %s mails, so %s. Give all programs the same CONFIRM_KEY, and the apis '
      'PUBLIC_URL, too.', reader.kind, reader.name, sender.name,
      case reader.kind
        when 'api' then 'people who open them there cannot sign in'
        else 'it cannot repeat such a mail, and mails a new link instead'
      end)
  from program as reader
    join program as sender on sender.link_style = 'confirm'
      and (split_part(sender.confirm_keys, ' ', 1) = any (string_to_array(reader.confirm_keys, ' '))) is not true
  order by reader.kind, reader.started_at, sender.started_at
  limit 1)
  union all
  select
    'versions_differ',
    format('Programs of different versions are running: %s. Finish the upgrade.', array_to_string(versions, ', '))
  from total
  where cardinality(versions) > 1
)
select
  total.*,
  (select jsonb_agg(jsonb_build_object('code', code, 'message', message) order by code) from warning) as warnings,
  (
    select array_agg(distinct portal)
    from program, unnest(string_to_array(portals, ' ')) as portal
    where kind = 'worker'
  ) as worker_portals
from total;

comment on column email_programs_summary.worker_portals is
  'Ids of the portals that at least one running worker knows. Null if there are none.';

create function email_program_alive(
  program_name text, program_kind text, program_version text, program_commit text, newest_migration integer,
  connections integer, sealing_key_ids text[], program_link_style text, confirm_key_ids text[],
  portal_ids text[])
returns table (
  apis bigint, workers bigint, max_connections bigint, connections_allowed integer, versions text[], sealing_keys text[],
  warnings jsonb, worker_portals text[])
language plpgsql as $$
#variable_conflict use_column
begin
  delete from email_programs where seen_at < clock_timestamp() - interval '1 day';
  insert into email_programs (
    name, kind, version, commit, migration, max_connections, sealing_keys, link_style, confirm_keys, portals)
  values (
    program_name, program_kind, program_version, program_commit, newest_migration, connections, sealing_key_ids,
    program_link_style, confirm_key_ids, portal_ids)
  on conflict (name) do update set seen_at = clock_timestamp(), portals = excluded.portals;
  return query
  select
    summary.apis, summary.workers, summary.max_connections, summary.connections_allowed, summary.versions,
    summary.sealing_keys, summary.warnings, summary.worker_portals
  from email_programs_summary as summary;
end $$;
comment on function email_program_alive is
  'Records that a program is running, and returns email_programs_summary. Each program calls it every 10 seconds.';

-- For programs of the previous version, for one release.
create or replace function email_program_running(
  program_name text, program_kind text, program_version text, program_commit text, newest_migration integer,
  connections integer, sealing_key_ids text[], program_link_style text, confirm_key_ids text[])
returns table (
  apis bigint, workers bigint, max_connections bigint, connections_allowed integer, versions text[], sealing_keys text[],
  warnings jsonb)
language plpgsql as $$
begin
  return query
  select
    summary.apis, summary.workers, summary.max_connections, summary.connections_allowed, summary.versions,
    summary.sealing_keys, summary.warnings
  from email_program_alive(
    program_name, program_kind, program_version, program_commit, newest_migration, connections, sealing_key_ids,
    program_link_style, confirm_key_ids, null) as summary;
end $$;
comment on function email_program_running is
  'email_program_alive() for programs that do not know email_programs.portals.';

select outbox_runs_as_owner(routine)
from unnest(
  array[
    'email_enqueue_jobs', 'email_enqueue_newcomer_jobs', 'email_enqueue_batch', 'email_enqueue_newcomer_batch',
    'email_program_alive', 'email_program_running']::regproc[]::regprocedure[]) as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
declare
  program text;
begin
  if exists (select from pg_roles where rolname = 'magic_link_api') then
    grant execute on function email_enqueue_jobs, email_enqueue_newcomer_jobs to magic_link_api;
  end if;
  for program in select rolname from pg_roles where rolname in ('magic_link_api', 'magic_link_worker') loop
    execute format('grant execute on function email_program_alive to %I', program);
  end loop;
  if exists (select from pg_roles where rolname = 'magic_link_viewer') then
    grant select (portal) on email_jobs to magic_link_viewer;
  end if;
end $$;
