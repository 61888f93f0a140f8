-- Each program reports the ids of its CONFIRM_KEYs, so that a difference is found before the first person opens a link.

alter table email_programs
  add column link_style text,
  add column confirm_keys text[];
alter table email_programs
  add constraint link_style_is_known check (link_style in ('confirm', 'verify', 'token_hash', 'code')) not valid,
  add constraint apis_have_no_link_style check (kind = 'worker' or link_style is null) not valid,
  add constraint confirm_keys_are_sane check (cardinality(confirm_keys) between 1 and 100) not valid;
comment on column email_programs.link_style is
  'What the links in a worker''s new mails lead to (LINK_STYLE): confirm, verify, token_hash or code. Null for an api, and for a '
  'worker that did not know this column.';
comment on column email_programs.confirm_keys is
  'Ids of the keys in CONFIRM_KEY, in order: the first encrypts the links of new mails, all decrypt. An id is the beginning of '
  'the key''s SHA-256, which does not reveal the key. Null without CONFIRM_KEY.';

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
  array_to_string(confirm_keys, ' ') as confirm_keys
from email_programs
where seen_at > clock_timestamp() - interval '30 seconds'
order by kind, started_at;
comment on column email_programs_now.link_style is 'What the links in a worker''s new mails lead to. Null for an api.';
comment on column email_programs_now.confirm_keys is
  'Ids of the keys in CONFIRM_KEY, in order. The first encrypts the links of new mails. Null without CONFIRM_KEY.';

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
  (select jsonb_agg(jsonb_build_object('code', code, 'message', message) order by code) from warning) as warnings
from total;

comment on column email_programs_summary.warnings is
  'Problems that an operator should look at, each with a code and a message: too_few_connections, sealing_keys_differ (a worker '
  'cannot open links that another one seals), confirm_keys_differ (a program cannot read the links that a worker mails) or '
  'versions_differ. Null if there are none.';

create function email_program_running(
  program_name text, program_kind text, program_version text, program_commit text, newest_migration integer,
  connections integer, sealing_key_ids text[], program_link_style text, confirm_key_ids text[])
returns table (
  apis bigint, workers bigint, max_connections bigint, connections_allowed integer, versions text[], sealing_keys text[],
  warnings jsonb)
language plpgsql as $$
#variable_conflict use_column
begin
  delete from email_programs where seen_at < clock_timestamp() - interval '1 day';
  insert into email_programs (
    name, kind, version, commit, migration, max_connections, sealing_keys, link_style, confirm_keys)
  values (
    program_name, program_kind, program_version, program_commit, newest_migration, connections, sealing_key_ids,
    program_link_style, confirm_key_ids)
  on conflict (name) do update set seen_at = clock_timestamp();
  return query
  select
    summary.apis, summary.workers, summary.max_connections, summary.connections_allowed, summary.versions,
    summary.sealing_keys, summary.warnings
  from email_programs_summary as summary;
end $$;
comment on function email_program_running is
  'Records that a program is running, and returns email_programs_summary. Each program calls it every 10 seconds.';

-- For programs of the previous version, for one release.
create or replace function email_report_program(
  program_name text, program_kind text, program_version text, program_commit text, newest_migration integer,
  connections integer, key_ids text[])
returns table (
  apis bigint, workers bigint, max_connections bigint, connections_allowed integer, versions text[], sealing_keys text[],
  warnings jsonb)
language sql as $$
  select *
  from email_program_running(
    program_name, program_kind, program_version, program_commit, newest_migration, connections, key_ids, null, null)
$$;
comment on function email_report_program is
  'email_program_running() for programs that do not know email_programs.confirm_keys.';

select outbox_runs_as_owner(routine)
from unnest(array['email_program_running', 'email_report_program']::regproc[]::regprocedure[]) as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
declare
  program text;
begin
  for program in select rolname from pg_roles where rolname in ('magic_link_api', 'magic_link_worker') loop
    execute format('grant execute on function email_program_running to %I', program);
  end loop;
end $$;
