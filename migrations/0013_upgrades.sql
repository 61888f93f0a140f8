-- Upgrades: which versions of the programs these tables suit. Programs of two versions run side by side while an upgrade is
-- rolled out, and for longer if it is rolled back. Each program says in its sessions, as outbox.migration, which migration is
-- the newest that it knows.

create table outbox_schema (
  is_the_only_row boolean primary key default true,
  worker_from     integer not null,
  api_from        integer not null,

  constraint there_is_one_row check (is_the_only_row)
);
comment on table outbox_schema is
  'Which versions of the programs these tables suit, in one row. A migration after which an older program would misread or '
  'damage rows raises the numbers; other migrations leave them, so that older programs go on.';
comment on column outbox_schema.is_the_only_row is 'Always true.';
comment on column outbox_schema.worker_from is
  'A worker claims jobs only if it knows this migration or a newer one.';
comment on column outbox_schema.api_from is 'An api adds jobs only if it knows this migration or a newer one.';
-- Workers that do not know suspicion open a breaker in a way that 0011 refuses. Older versions do not look at this row; the
-- number is for those that do.
insert into outbox_schema (worker_from, api_from) values (11, 0);

create function outbox_suits(program text) returns boolean
language sql stable as $$
  select coalesce(nullif(current_setting('outbox.migration', true), ''), '0')::int
    >= case program when 'worker' then worker_from else api_from end
  from outbox_schema
$$;
comment on function outbox_suits is
  'Whether the program of this session (worker or api) is new enough for these tables.';

create function outbox_versions()
returns table (migration bigint, worker_from integer, api_from integer)
language plpgsql stable as $$
begin
  return query
  select (select max(version) from _sqlx_migrations where success), schema.worker_from, schema.api_from
  from outbox_schema as schema;
end $$;
comment on function outbox_versions is
  'The newest migration that has been applied, and the contents of outbox_schema. Programs call it regularly.';

-- As before; in addition, the api must be new enough.
create or replace function email_add_jobs(
  quota_keys text[], quota_versions bigint[], quota_tats text[], quota_clients jsonb[], quota_recipients text[],
  quota_callback_urls text[], ids uuid[], recipients text[], mailboxes text[], callback_urls text[], request_ids text[],
  traceparents text[], states text[], codes text[], messages text[], deadline interval)
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
    id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at, request_id,
    traceparent, place, seq, probed_at, refused_at, suspected_upstream)
  select
    id, state, recipient, mailbox, callback_url, code, message, now, now, now + deadline,
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
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents, states, codes, messages)
      with ordinality as given (
        id, recipient, mailbox, callback_url, request_id, traceparent, state, code, message, position)
    order by position
  ) as added;
end $$;

create or replace function email_add_newcomers(
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
    id, recipient, mailbox, callback_url, created_at, run_at, deadline_at, request_id, traceparent, place, seq)
  select id, recipient, mailbox, callback_url, now, now, now + deadline, request_id, traceparent, seq, seq
  from (
    select *, nextval('email_jobs_seq') as seq
    from unnest(ids, recipients, mailboxes, callback_urls, request_ids, traceparents)
      with ordinality as given (id, recipient, mailbox, callback_url, request_id, traceparent, position)
    order by position
  ) as added;
end $$;

select outbox_out_of_reach('outbox_schema'::regclass);
select outbox_runs_as_owner(routine)
from unnest(
  array['outbox_suits', 'outbox_versions', 'email_add_jobs', 'email_add_newcomers']::regproc[]::regprocedure[]) as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
declare
  program text;
begin
  for program in select rolname from pg_roles where rolname in ('magic_link_api', 'magic_link_worker') loop
    execute format('grant execute on function outbox_suits, outbox_versions to %I', program);
  end loop;
end $$;
