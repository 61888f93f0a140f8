-- Which programs run: each reports itself every ten seconds, so that operators see at a glance whether the connections of all
-- programs fit into the server, whether versions are mixed, and whether sealing keys differ.

create table email_programs (
  name            text        primary key,
  kind            text        not null,
  version         text        not null,
  commit          text,
  migration       integer     not null,
  max_connections integer     not null,
  sealing_keys    text[],
  started_at      timestamptz not null default clock_timestamp(),
  seen_at         timestamptz not null default clock_timestamp(),

  constraint kind_is_known check (kind in ('api', 'worker')),
  constraint workers_have_keys check ((kind = 'worker') = (sealing_keys is not null)),
  constraint sizes_are_sane check (
    octet_length(name) <= 128 and octet_length(version) <= 64 and octet_length(commit) <= 64 and max_connections > 0
    and cardinality(sealing_keys) between 1 and 100)
);
comment on table email_programs is
  'One row per running program, which the program updates every 10 seconds and deletes when it stops. See the views '
  'email_programs_now and email_programs_summary, which leave out rows that are older than 30 seconds. Programs delete rows '
  'that are older than a day.';
comment on column email_programs.name is
  'Host, process id and start time of the program. For a worker as in email_jobs.worker.';
comment on column email_programs.kind is 'api or worker.';
comment on column email_programs.version is 'Version of the program, for example 0.1.0.';
comment on column email_programs.commit is
  'Commit that the program was built from, shortened. Null if it was built outside a Git checkout.';
comment on column email_programs.migration is 'The newest migration that the program knows.';
comment on column email_programs.max_connections is
  'Maximum number of connections that the program opens: DATABASE_MAX_CONNECTIONS and 3 more.';
comment on column email_programs.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order: the first seals, all open. An id is the beginning of the key''s SHA-256, '
  'which does not reveal the key. Null for an api, which has no keys.';
comment on column email_programs.started_at is 'When the program first reported itself.';
comment on column email_programs.seen_at is 'When the program last reported itself.';

create view email_programs_now with (security_invoker = true) as
select
  kind,
  name,
  version,
  commit,
  migration,
  max_connections,
  array_to_string(sealing_keys, ' ') as sealing_keys,
  started_at,
  date_trunc('second', clock_timestamp() - seen_at) as seen_ago
from email_programs
where seen_at > clock_timestamp() - interval '30 seconds'
order by kind, started_at;
comment on view email_programs_now is 'The programs that have reported themselves in the last 30 seconds.';
comment on column email_programs_now.kind is 'api or worker.';
comment on column email_programs_now.name is 'Host, process id and start time of the program.';
comment on column email_programs_now.version is 'Version of the program.';
comment on column email_programs_now.commit is 'Commit that the program was built from. Null if unknown.';
comment on column email_programs_now.migration is 'The newest migration that the program knows.';
comment on column email_programs_now.max_connections is 'Maximum number of connections that the program opens.';
comment on column email_programs_now.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order. The first seals. Null for an api.';
comment on column email_programs_now.started_at is 'When the program first reported itself.';
comment on column email_programs_now.seen_ago is 'Time since the program last reported itself, truncated to whole seconds.';

create view email_programs_summary with (security_invoker = true) as
with program as (
  select * from email_programs_now
),
total as (
  select
    count(*) filter (where kind = 'api') as apis,
    count(*) filter (where kind = 'worker') as workers,
    coalesce(sum(max_connections), 0) as max_connections,
    -- What the server, or the database, has for others than superusers.
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
  -- One pair is enough of an example.
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
  select
    'versions_differ',
    format('Programs of different versions are running: %s. Finish the upgrade.', array_to_string(versions, ', '))
  from total
  where cardinality(versions) > 1
)
select
  total.*,
  (select jsonb_agg(jsonb_build_object('code', code, 'message', message) order by code) from warning) as warnings
from total;

comment on view email_programs_summary is
  'The programs that have reported themselves in the last 30 seconds, in one row.';
comment on column email_programs_summary.apis is 'Number of apis.';
comment on column email_programs_summary.workers is 'Number of workers.';
comment on column email_programs_summary.max_connections is 'Maximum number of connections that they open together.';
comment on column email_programs_summary.connections_allowed is
  'Number of connections that the server, or its limit for this database, leaves for roles that are not superusers. The limit '
  'of a pooler or a role is not known here.';
comment on column email_programs_summary.versions is 'Their versions, each with its commit. One if no upgrade is in progress.';
comment on column email_programs_summary.sealing_keys is
  'The distinct lists of key ids among the workers. One, unless keys are being changed.';
comment on column email_programs_summary.warnings is
  'What needs a look, each with a code and a message: too_few_connections, sealing_keys_differ (a worker cannot open links '
  'that another one seals) or versions_differ. Null if nothing does.';

create function email_report_program(
  program_name text, program_kind text, program_version text, program_commit text, newest_migration integer,
  connections integer, key_ids text[])
returns table (
  apis bigint, workers bigint, max_connections bigint, connections_allowed integer, versions text[], sealing_keys text[],
  warnings jsonb)
language plpgsql as $$
#variable_conflict use_column
begin
  delete from email_programs where seen_at < clock_timestamp() - interval '1 day';
  insert into email_programs (name, kind, version, commit, migration, max_connections, sealing_keys)
  values (program_name, program_kind, program_version, program_commit, newest_migration, connections, key_ids)
  on conflict (name) do update set seen_at = clock_timestamp();
  return query
  select
    summary.apis, summary.workers, summary.max_connections, summary.connections_allowed, summary.versions,
    summary.sealing_keys, summary.warnings
  from email_programs_summary as summary;
end $$;
comment on function email_report_program is
  'Records that a program is running, and returns email_programs_summary. Each program calls it every 10 seconds.';

create function email_program_stopped(program_name text) returns void
language sql as $$
  delete from email_programs where name = program_name
$$;
comment on function email_program_stopped is 'Forgets a program. Each program calls it when it stops.';

select outbox_out_of_reach(relation)
from unnest(array['email_programs', 'email_programs_now', 'email_programs_summary']::regclass[]) as relation;
select outbox_runs_as_owner(routine)
from unnest(array['email_report_program', 'email_program_stopped']::regproc[]::regprocedure[]) as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
declare
  program text;
begin
  for program in select rolname from pg_roles where rolname in ('magic_link_api', 'magic_link_worker') loop
    execute format('grant execute on function email_report_program, email_program_stopped to %I', program);
  end loop;
end $$;
