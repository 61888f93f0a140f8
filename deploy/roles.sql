-- Creates five roles, each with only the rights that it needs:
--
--   magic_link_owner      owns the tables: run `magic-link-worker migrate` as this role
--   magic_link_api        magic-link-api: adds jobs, cannot read links or history
--   magic_link_worker     magic-link-worker: reads and writes all rows
--   magic_link_viewer     people and dashboards: reads the views, and the columns that the documentation's queries and
--                         `magic-link-worker jobs` need
--   magic_link_operator   people who cancel and retry jobs, and pause mail: has the viewer's rights, too
--
-- Run this script as a superuser in the outbox's database, before the first migration and again after each migration.
-- It is safe to run repeatedly. Set MIGRATE_ON_START=false for the api and the worker. Set the password of each role
-- once:
--
--   psql "$ADMIN_URL" -f deploy/roles.sql
--   psql "$ADMIN_URL" -c "alter role magic_link_owner password '…'"   -- repeat for the other four roles
--   DATABASE_URL=postgres://magic_link_owner:…@db.internal/magic_link magic-link-worker migrate
--   psql "$ADMIN_URL" -f deploy/roles.sql

set client_min_messages = warning;

do $$
declare
  schema text := current_schema();
  role text;
  relation record;
  routine record;
begin
  foreach role in array array[
    'magic_link_owner', 'magic_link_api', 'magic_link_worker', 'magic_link_viewer', 'magic_link_operator']
  loop
    -- The same script, run in another database of this server, might create the role at the same time.
    begin
      if not exists (select from pg_roles where rolname = role) then
        execute format('create role %I login', role);
      end if;
    exception when duplicate_object or unique_violation then
      null;
    end;
    execute format('grant usage on schema %I to %I', schema, role);
  end loop;
  execute format('grant create on schema %I to magic_link_owner', schema);
  if to_regclass('email_jobs') is null then
    raise warning 'The tables do not exist yet: run the migrations as magic_link_owner, then run this script again.';
    return;
  end if;

  -- Make magic_link_owner the owner of objects that another role has created. Indexes and owned sequences follow their
  -- table.
  for relation in
    select oid::regclass as name, case relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end as kind
    from pg_class
    where relnamespace = schema::regnamespace
      and relkind in ('r', 'p', 'v', 'S')
      and relname ~ '^(email_|outbox_|operator_|recipient_quotas$|suppress|upstreams$|redirect_checks$|webhook_tokens$|_sqlx_migrations$)'
      and relowner <> 'magic_link_owner'::regrole
  loop
    execute format('alter %s %s owner to magic_link_owner', relation.kind, relation.name);
  end loop;
  for routine in
    select oid::regprocedure as name
    from pg_proc
    where pronamespace = schema::regnamespace and proname ~ '^(email|outbox|operator)_' and proowner <> 'magic_link_owner'::regrole
  loop
    execute format('alter function %s owner to magic_link_owner', routine.name);
  end loop;
end $$;

do $$
declare
  relation text;
begin
  if to_regclass('email_jobs') is null then
    return;
  end if;

  -- The worker reads and writes all rows.
  foreach relation in array array[
    'email_jobs', 'email_jobs_open', 'email_attempts', 'email_events', 'email_events_unmatched', 'webhook_tokens',
    'recipient_quotas', 'upstreams', 'suppressed_recipients', 'suppression_lifts', 'email_reconciliations',
    'email_reconciler', 'email_delivery_hours', 'email_workers', 'redirect_checks']
  loop
    execute format('grant select, insert, update, delete on %I to magic_link_worker', relation);
    execute format('drop policy if exists worker_has_all on %I', relation);
    execute format('create policy worker_has_all on %I to magic_link_worker using (true) with check (true)', relation);
  end loop;
  grant usage on sequence email_jobs_lease_token_seq to magic_link_worker;
  grant execute on function
    email_job_ended, email_delivery_rank, email_job_time, email_mailbox,
    email_take_reports, email_roll_up, email_make_partitions, email_drop_partition, email_forget, email_forget_actions,
    email_lift_suppression
    to magic_link_worker;
  -- The worker can read the operators' pauses, actions and retries, but cannot change them.
  foreach relation in array array['operator_pauses', 'operator_actions', 'email_retries'] loop
    execute format('grant select on %I to magic_link_worker', relation);
    execute format('drop policy if exists worker_reads on %I', relation);
    execute format('create policy worker_reads on %I for select to magic_link_worker using (true)', relation);
  end loop;

  -- The api can check that email_jobs_open exists, but row level security hides all rows from the api. The api calls
  -- functions that run as the owner, for example to add jobs, to count the waiting jobs and to record Mailgun's
  -- reports.
  grant select (state) on email_jobs_open to magic_link_api;
  grant execute on function
    email_load, email_read_recipients, email_enqueue_jobs, email_enqueue_newcomer_jobs, email_take_reports,
    email_make_partitions, email_retry_refusal, email_take_retries, email_settle_retry
    to magic_link_api;
  -- During an upgrade, api instances of earlier versions call these functions.
  grant execute on function
    email_admission, email_add_jobs, email_add_newcomers, email_enqueue, email_enqueue_newcomers, email_enqueue_batch,
    email_enqueue_newcomer_batch
    to magic_link_api;
  grant execute on function
    outbox_suits, outbox_versions, email_program_alive, email_program_running, email_report_program, email_program_stopped
    to magic_link_worker, magic_link_api;

  -- The views run with the rights of their reader, so the viewer also needs the right to read the columns of email_jobs
  -- that the views use.
  grant select on
    email_jobs_now, email_jobs_recent, email_failures_by_code, email_delivery_by_domain, email_programs,
    email_programs_now, email_programs_summary
    to magic_link_viewer;
  grant select (
    id, state, delivery, delivery_at, recipient, attempt, code, message, created_at, run_at, finished_at, request_id, portal)
    on email_jobs to magic_link_viewer;
  -- The other columns of email_jobs that `magic-link-worker jobs` reads. The callback URL is left out, because its
  -- query might identify the person.
  grant select (language, shown_host, attempted_at, deadline_at, worker, lease_expires_at, cancelled_at, requested_at)
    on email_jobs to magic_link_viewer;
  grant execute on function outbox_versions to magic_link_viewer;
  -- The columns of other tables that `magic-link-worker jobs` and the queries in docs/operating.md read.
  grant select (job_id, attempt, step, outcome, http_status, code, message, duration_ms, started_at, worker)
    on email_attempts to magic_link_viewer;
  grant select (
    job_id, event, severity, reason, smtp_code, enhanced_code, message, delivery, occurred_at, received_at, recipient_domain)
    on email_events to magic_link_viewer;
  grant select (name, open_since, slow_since, stopped_by, code, message, setting, paused_until)
    on upstreams to magic_link_viewer;
  grant select (recipient, reason, since, until, times, job_id) on suppressed_recipients to magic_link_viewer;
  grant select on email_delivery_hours, operator_actions, operator_pauses, email_retries to magic_link_viewer;
  foreach relation in array array[
    'email_jobs', 'email_attempts', 'email_events', 'upstreams', 'suppressed_recipients', 'email_delivery_hours',
    'email_programs', 'operator_actions', 'operator_pauses', 'email_retries']
  loop
    execute format('drop policy if exists viewer_reads on %I', relation);
    execute format('create policy viewer_reads on %I for select to magic_link_viewer using (true)', relation);
  end loop;
  grant execute on function email_quantile to magic_link_viewer;

  -- The operator acts only through functions, which record what was done.
  grant magic_link_viewer to magic_link_operator;
  grant execute on function email_pause, email_resume, email_cancel_job, email_retry_job, email_retry_refusal to magic_link_operator;
end $$;
