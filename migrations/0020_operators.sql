-- What operators do: cancel a job, retry an ended one, and pause mail. Each is a function that also records, in the same
-- statement, who did it and why. The job commands of magic-link-worker call the same functions.

-- Cancelled jobs, and jobs that repeat an earlier request.

alter table email_jobs
  add column cancelled_at timestamptz,
  add column requested_at timestamptz;
alter table email_jobs drop constraint state_is_known;
-- Not validated: the states that exist are all allowed, and a check of a long history would hold up the programs.
alter table email_jobs
  add constraint state_is_known check (
    state in ('queued', 'running', 'retrying', 'sent', 'failed', 'expired', 'superseded', 'cancelled')) not valid;
comment on column email_jobs.state is
  'queued (waits for a worker), running (leased by a worker), retrying (waits until run_at), sent (Mailgun accepted the mail), '
  'failed (ended without success, see code), expired (not sent by deadline_at), superseded (replaced by a newer request of the '
  'same recipient, or a repeat of the previous request: code is newer_request or duplicate) or cancelled (by an operator, see '
  'operator_actions).';
comment on column email_jobs.cancelled_at is
  'When an operator cancelled the job while a worker was running it. The worker then ends the job instead of mailing it. Null for '
  'all other jobs: a waiting job ends at once when it is cancelled.';
comment on column email_jobs.requested_at is
  'When the person made the request, if an operator retried it: created_at of the first job. The mail shows this time. Null for a '
  'job that is not a retry.';

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
    job.shown_host, job.language, job.time_zone, job.portal, job.cancelled_at, job.requested_at
$$;

-- A worker of an earlier version would mail during a pause, and would mail a job that was cancelled while it ran.
create function outbox_requires_workers(migration integer) returns void
language sql as $$
  update outbox_schema set worker_from = migration where worker_from < migration
$$;
comment on function outbox_requires_workers is
  'Raises outbox_schema.worker_from to this migration. Called before the first action that older workers would ignore.';
comment on table outbox_schema is
  'Oldest versions of the programs that may use these tables, in one row. A migration raises the numbers if an older program '
  'would misread or damage rows. The first job with a portal raises worker_from to 19, and the first pause or cancelled running job '
  'raises it to 20. Other migrations leave the numbers unchanged, and older programs continue to work.';

-- What operators did.

create table operator_actions (
  id       bigint      generated always as identity primary key,
  acted_at timestamptz not null default clock_timestamp(),
  actor    text        not null default session_user,
  action   text        not null,
  job_id   uuid,
  target   text,
  ends_at  timestamptz,
  reason   text,

  constraint action_is_known check (action in ('cancel', 'retry', 'pause', 'resume')),
  constraint an_action_has_its_object check ((action in ('cancel', 'retry')) = (job_id is not null) and (job_id is null) = (target is not null)),
  constraint sizes_are_sane check (octet_length(reason) <= 500 and octet_length(target) <= 64)
);
create index operator_actions_job on operator_actions (job_id) where job_id is not null;
comment on index operator_actions_job is 'What operators did to a job.';
comment on table operator_actions is
  'What operators did: one row per job that was cancelled or retried, and per pause that began or ended. The functions that act '
  'write it in the same statement. Rows are never changed or deleted; only email_forget() erases reasons.';
comment on column operator_actions.id is 'Number of the action, in the order of the actions.';
comment on column operator_actions.acted_at is 'When the operator acted, by Postgres''s clock.';
comment on column operator_actions.actor is
  'The role that the operator had logged in with (session_user). No parameter can change it.';
comment on column operator_actions.action is 'cancel, retry, pause or resume.';
comment on column operator_actions.job_id is 'The job that was cancelled or retried. Null for pause and resume.';
comment on column operator_actions.target is
  'What was paused or resumed, as in operator_pauses.target. Null for cancel and retry.';
comment on column operator_actions.ends_at is 'When the pause was to end by itself. Null for other actions.';
comment on column operator_actions.reason is
  'The operator''s reason, at most 500 bytes. Null if none was given, and after email_forget() of a person whom it is about.';

create function operator_actions_are_kept() returns trigger
language plpgsql as $$
declare
  erased operator_actions;
begin
  if tg_op = 'UPDATE' then
    erased := old;
    erased.reason := null;
    if new is not distinct from erased then
      return new;
    end if;
  end if;
  raise exception 'operator_actions is a record: its rows cannot be changed or deleted' using errcode = 'insufficient_privilege';
end $$;
comment on function operator_actions_are_kept is
  'Trigger of operator_actions: refuses every change of a row except that its reason is erased.';
create trigger keep_rows before update or delete on operator_actions
  for each row execute function operator_actions_are_kept();
create trigger keep_table before truncate on operator_actions
  for each statement execute function operator_actions_are_kept();

-- Pauses.

create table operator_pauses (
  target    text        primary key,
  portal    text        generated always as (case when target like 'portal:%' then substr(target, 8) end) stored,
  reason    text        not null,
  paused_by text        not null default session_user,
  paused_at timestamptz not null default clock_timestamp(),
  ends_at   timestamptz not null,

  constraint target_is_known check (
    target in ('mail', 'supabase', 'mailgun') or target ~ '^portal:[a-z0-9][a-z0-9-]{0,31}$'),
  constraint a_pause_ends check (ends_at > paused_at),
  constraint sizes_are_sane check (octet_length(reason) between 1 and 500)
);
comment on table operator_pauses is
  'What operators have paused. All workers read it before each claim and before each mail. A row whose ends_at has passed has no '
  'effect; the next pause or resume deletes it.';
comment on column operator_pauses.target is
  'mail (everything), supabase or mailgun (workers claim no jobs, because each job needs both; with mailgun, as with mail, they also '
  'hold the mails of the jobs that they are running), or portal: followed by a portal''s id (only its jobs wait).';
comment on column operator_pauses.portal is 'Id of the portal. Null if the pause concerns all portals.';
comment on column operator_pauses.reason is 'Why, for the other operators: 1 to 500 bytes.';
comment on column operator_pauses.paused_by is 'The role that the operator had logged in with (session_user).';
comment on column operator_pauses.paused_at is 'When the pause began, by Postgres''s clock.';
comment on column operator_pauses.ends_at is 'When the pause ends by itself.';

create function email_pause(target text, reason text, lasts interval)
returns table (paused text, until timestamptz)
language plpgsql as $$
#variable_conflict use_column
declare
  wanted constant text := trim(email_pause.target);
  why constant text := trim(email_pause.reason);
  wanted_portal constant text := substr(wanted, 8);
  known text[];
begin
  if wanted is null or not (wanted in ('mail', 'supabase', 'mailgun') or wanted ~ '^portal:[a-z0-9][a-z0-9-]{0,31}$') then
    raise exception 'only mail, supabase, mailgun or portal:ID can be paused, and not %', coalesce(quote_literal(wanted), 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  if coalesce(why, '') = '' or octet_length(why) > 500 then
    raise exception 'a pause needs a reason of 1 to 500 bytes' using errcode = 'invalid_parameter_value';
  end if;
  if lasts is null or lasts < interval '1 second' or lasts > interval '7 days' then
    raise exception 'a pause lasts 1 second to 7 days' using errcode = 'invalid_parameter_value';
  end if;
  if wanted like 'portal:%' then
    select array_agg(distinct id) into known
    from email_programs, unnest(portals) as id
    where seen_at > clock_timestamp() - interval '30 seconds';
    if wanted_portal <> all (known) then
      raise exception 'no running program knows the portal %', quote_literal(wanted_portal)
        using errcode = 'invalid_parameter_value', hint = 'Known portals: ' || array_to_string(known, ', ');
    end if;
  end if;
  perform outbox_requires_workers(20);
  delete from operator_pauses where ends_at <= clock_timestamp();
  return query
  with begun as (
    insert into operator_pauses as pause (target, reason, ends_at)
    values (wanted, why, clock_timestamp() + lasts)
    on conflict on constraint operator_pauses_pkey do update
    set reason = excluded.reason, paused_by = excluded.paused_by, ends_at = excluded.ends_at
    returning pause.target, pause.reason, pause.ends_at
  ),
  recorded as (
    insert into operator_actions (action, target, reason, ends_at)
    select 'pause', begun.target, begun.reason, begun.ends_at from begun
  )
  select begun.target, begun.ends_at from begun;
end $$;
comment on function email_pause is
  'For operators: pauses mail, supabase, mailgun or portal:ID for a time of at most 7 days, or changes the reason and the end of '
  'such a pause. No mail that has not yet been handed to Mailgun leaves during the pause. Requests are accepted until the oldest '
  'waiting job has used up half of its deadline. Returns what is paused, and until when.';

create function email_resume(target text, reason text default null) returns boolean
language plpgsql as $$
#variable_conflict use_column
declare
  is_resumed boolean;
begin
  if octet_length(reason) > 500 then
    raise exception 'a reason has at most 500 bytes' using errcode = 'invalid_parameter_value';
  end if;
  with ended as (
    delete from operator_pauses as pause
    where pause.target = trim(email_resume.target)
    returning pause.target, pause.ends_at > clock_timestamp() as was_in_force
  ),
  recorded as (
    insert into operator_actions (action, target, reason)
    select 'resume', ended.target, nullif(trim(email_resume.reason), '') from ended where was_in_force
  )
  select was_in_force into is_resumed from ended;
  if is_resumed then
    -- Wake the workers.
    perform pg_notify('email_jobs', '');
  end if;
  return coalesce(is_resumed, false);
end $$;
comment on function email_resume is
  'For operators: ends a pause at once. Returns false if nothing of this name was paused.';

-- Cancelling.

create function email_cancel_job(job uuid, reason text default null)
returns table (outcome text, message text)
language plpgsql as $$
#variable_conflict use_column
declare
  why constant text := nullif(trim(email_cancel_job.reason), '');
  seen record;
begin
  if octet_length(why) > 500 then
    raise exception 'a reason has at most 500 bytes' using errcode = 'invalid_parameter_value';
  end if;
  -- The history needs today's partition.
  perform email_make_partitions(0);
  -- Workers may change the job between two of these statements. Each turn sees its latest state.
  for turn in 1..20 loop
    with gone as (
      delete from email_jobs_open as open
      where open.id = email_cancel_job.job
        and open.state <> 'running'
        -- Mailgun has reported that it accepted the mail.
        and open.delivery is null
      returning open
    ),
    history as (
      insert into email_jobs
      select ended.*
      from gone,
        email_job_ended(gone.open, 'cancelled', 'cancelled', 'An operator cancelled it while it was waiting.', statement_timestamp())
          as ended
      returning id
    ),
    recorded as (
      insert into operator_actions (action, job_id, reason) select 'cancel', id, why from history
    )
    select (gone.open).sealed_link is not null as has_link into seen from gone;
    if found then
      outcome := 'cancelled';
      message := case
        when seen.has_link then 'The job is cancelled. An earlier attempt may have mailed its link.'
        else 'The job is cancelled. Nothing was mailed.'
      end;
      return next;
      return;
    end if;

    with marked as (
      update email_jobs_open as open
      set cancelled_at = clock_timestamp()
      where open.id = email_cancel_job.job
        and open.state = 'running'
        and open.sealed_link is null
        and open.cancelled_at is null
      returning open.id
    ),
    recorded as (
      insert into operator_actions (action, job_id, reason) select 'cancel', id, why from marked
    )
    select id into seen from marked;
    if found then
      perform outbox_requires_workers(20);
      outcome := 'cancelling';
      message := 'A worker is running the job. It ends the job instead of mailing it.';
      return next;
      return;
    end if;

    select past.state, past.cancelled_at, past.delivery, past.finished_at, past.sealed_link is not null as has_link into seen
    from email_jobs as past
    where past.id = email_cancel_job.job
    order by past.finished_at desc
    limit 1;
    outcome := case
      when not found then 'not_found'
      when seen.finished_at < 'infinity' then 'already_ended'
      when seen.state = 'running' and seen.cancelled_at is not null then 'cancelling'
      when (seen.state = 'running' and seen.has_link) or (seen.state <> 'running' and seen.delivery is not null) then 'may_be_sent'
    end;
    message := case outcome
      when 'not_found' then 'There is no job with this id.'
      when 'already_ended' then format('The job has already ended as %s.', seen.state)
      when 'cancelling' then 'The job has already been cancelled: the worker that runs it ends it.'
      when 'may_be_sent' then 'The mail may already be on its way: the job''s link is ready, and a worker is sending it.'
    end;
    if outcome is not null then
      return next;
      return;
    end if;
  end loop;
  outcome := 'busy';
  message := 'Workers changed the job again and again: try again.';
  return next;
end $$;
comment on function email_cancel_job is
  'For operators: cancels an open job. Returns cancelled, cancelling (a worker is running it and ends it instead of mailing it), '
  'not_found, already_ended, may_be_sent (a worker may be sending its mail at this moment: nothing was changed) or busy (try again), '
  'with a sentence for people.';

-- Retrying.

create table email_retries (
  job_id      uuid        primary key,
  state       text        not null default 'filed',
  filed_at    timestamptz not null default clock_timestamp(),
  filed_by    text        not null default session_user,
  taken_until timestamptz,
  decided_at  timestamptz,
  new_job_id  uuid,
  code        text,
  message     text,

  constraint state_is_known check (state in ('filed', 'accepted', 'refused')),
  constraint a_decision_has_its_time check ((state = 'filed') = (decided_at is null)),
  constraint only_accepted_retries_have_a_job check ((state = 'accepted') = (new_job_id is not null)),
  constraint a_refusal_says_why check ((state = 'refused') = (code is not null) and (code is null) = (message is null)),
  constraint sizes_are_sane check (octet_length(code) <= 64 and octet_length(message) <= 500)
);
create index email_retries_filed on email_retries (filed_at) where state = 'filed';
comment on index email_retries_filed is 'Retries that no api has run yet, oldest first.';
create index email_retries_new_job on email_retries (new_job_id) where new_job_id is not null;
comment on index email_retries_new_job is 'The retry that added a job.';
comment on table email_retries is
  'Ended jobs that operators want retried. An api runs each retry within seconds, as if the person had repeated the request: with '
  'the recipient''s quota, the admission rule and a new deadline. Rows are deleted after 90 days.';
comment on column email_retries.job_id is 'The ended job.';
comment on column email_retries.state is
  'filed (waits for an api), accepted (new_job_id is the new job) or refused (code and message say why).';
comment on column email_retries.filed_at is 'When the operator asked for the retry.';
comment on column email_retries.filed_by is 'The role that the operator had logged in with (session_user).';
comment on column email_retries.taken_until is
  'Until when one api has taken the retry. After that, any api may take it. Null if none has.';
comment on column email_retries.decided_at is 'When an api accepted or refused the retry. Null before.';
comment on column email_retries.new_job_id is 'The job that the retry added. Null unless the retry was accepted.';
comment on column email_retries.code is
  'Why the retry was refused: a code of email_retry_refusal(), or recipient_rate_limited, portal_unknown or callback_not_allowed. Null '
  'unless it was refused.';
comment on column email_retries.message is 'The reason for people, at most 500 bytes. Null unless the retry was refused.';

create function email_retry_refusal(job uuid) returns table (code text, message text)
language plpgsql stable as $$
#variable_conflict use_column
declare
  past record;
begin
  select * into past from email_jobs where id = email_retry_refusal.job order by finished_at desc limit 1;
  if not found then
    return query values ('not_found', 'There is no job with this id.');
  elsif past.recipient = 'forgotten@invalid' then
    return query values ('forgotten', 'The person was forgotten: the job no longer has an address.');
  elsif past.finished_at = 'infinity' then
    return query values ('still_open', format('The job is still open (%s).', past.state));
  elsif past.state = 'superseded' and past.code = 'duplicate' then
    return query values ('duplicate', 'The job repeats an earlier request, whose mail serves both. Look at that job instead.');
  elsif exists (
    select from email_jobs as newer
    where newer.recipient = past.recipient
      and newer.seq > past.seq
      and newer.code is distinct from 'duplicate'
      -- Only the days since then.
      and newer.finished_at >= past.created_at
  ) then
    return query values ('asked_again', 'The person has made a newer request, which has its own job.');
  elsif coalesce(past.requested_at, past.created_at) < clock_timestamp() - interval '1 hour' then
    return query values ('too_old', 'The person asked more than an hour ago: a sign-in mail would no longer be expected.');
  elsif past.state = 'sent' and past.code is distinct from 'no_trace'
    and coalesce(past.delivery, '') not in ('bounced', 'undelivered', 'suppressed')
  then
    return query values (
      'may_have_arrived', 'Mailgun accepted the mail and has not reported that it failed. A new link would end the one in that mail.');
  elsif past.code = 'user_banned' then
    return query values ('banned', 'Supabase has banned this user.');
  elsif exists (
    select from suppressed_recipients as suppressed
    where suppressed.recipient = past.recipient and suppressed.until > clock_timestamp()
  ) then
    return query values (
      'suppressed', 'The recipient is suppressed. To lift the suppression: select email_lift_suppression(recipient).');
  end if;
end $$;
comment on function email_retry_refusal is
  'Why an ended job cannot be retried now: not_found, forgotten, still_open, duplicate, asked_again, too_old, may_have_arrived, '
  'banned or suppressed, with a sentence for people. No row if it can be retried.';

create function email_retry_job(job uuid, reason text default null)
returns table (outcome text, message text)
language plpgsql as $$
#variable_conflict use_column
declare
  why constant text := nullif(trim(email_retry_job.reason), '');
  filed uuid;
begin
  if octet_length(why) > 500 then
    raise exception 'a reason has at most 500 bytes' using errcode = 'invalid_parameter_value';
  end if;
  delete from email_retries where filed_at < clock_timestamp() - interval '90 days';
  return query
  select
    'already_retried',
    case state
      when 'filed' then 'The retry has been filed: an api runs it as soon as it can.'
      else format('The job has been retried: its new job is %s.', new_job_id)
    end
  from email_retries
  where job_id = email_retry_job.job and state <> 'refused';
  if found then
    return;
  end if;
  return query select * from email_retry_refusal(email_retry_job.job);
  if found then
    return;
  end if;
  with added as (
    insert into email_retries as retry (job_id)
    values (email_retry_job.job)
    on conflict on constraint email_retries_pkey do update
    set state = 'filed', filed_at = excluded.filed_at, filed_by = excluded.filed_by, taken_until = null, decided_at = null,
      code = null, message = null
    where retry.state = 'refused'
    returning retry.job_id
  ),
  recorded as (
    insert into operator_actions (action, job_id, reason) select 'retry', job_id, why from added
  )
  select job_id into filed from added;
  if filed is null then
    return query values ('already_retried', 'Another operator has just filed this retry.');
  else
    return query values ('filed', 'The retry is filed: an api runs it within seconds.');
  end if;
end $$;
comment on function email_retry_job is
  'For operators: files the retry of an ended job, which an api then runs. Returns filed, already_retried, or a code of '
  'email_retry_refusal(), with a sentence for people. Only filed changes anything.';

create function email_take_retries(most integer)
returns table (
  job_id uuid, recipient text, callback_url text, shown_host text, language text, time_zone text, portal text,
  request_id text, traceparent text)
language plpgsql as $$
#variable_conflict use_column
begin
  if not outbox_suits('api') then
    raise exception 'these tables need a newer version of the program' using errcode = 'OB001';
  end if;
  return query
  with taken as (
    update email_retries as retry
    set taken_until = clock_timestamp() + interval '30 seconds'
    where retry.job_id in (
      select filed.job_id from email_retries as filed
      where filed.state = 'filed'
        and coalesce(filed.taken_until <= clock_timestamp(), true)
      order by filed.filed_at
      limit most
      for update skip locked
    )
    returning retry.job_id
  )
  select
    taken.job_id, past.recipient, past.callback_url, past.shown_host, past.language, past.time_zone, past.portal,
    past.request_id, past.traceparent
  from taken
  left join email_jobs as past on past.id = taken.job_id and past.finished_at < 'infinity';
end $$;
comment on function email_take_retries is
  'An api calls it when retries are filed. Takes up to this many for 30 seconds and returns the requests of their jobs. Columns '
  'other than job_id are null if the job no longer exists.';

create function email_settle_retry(job uuid, new_job uuid, refusal_code text, refusal_message text) returns boolean
language plpgsql as $$
#variable_conflict use_column
begin
  update email_retries
  set state = case when new_job is null then 'refused' else 'accepted' end,
    decided_at = clock_timestamp(), new_job_id = new_job, code = refusal_code, message = refusal_message
  where job_id = email_settle_retry.job and state = 'filed';
  if not found then
    return false;
  end if;
  update email_jobs_open as added
  set requested_at = coalesce(past.requested_at, past.created_at)
  from email_jobs as past
  where added.id = new_job
    and past.id = email_settle_retry.job;
  return true;
end $$;
comment on function email_settle_retry is
  'The api calls it in the transaction that added the new job, or when it refuses a retry. Returns false if the retry is no longer '
  'filed: the caller must then roll back.';

-- Erasing a person. email_forget() runs with the rights of its caller, who must not be able to change operator_actions.

create function email_forget_actions(person text, jobs uuid[]) returns table (relation text, rows bigint)
language plpgsql as $$
#variable_conflict use_column
begin
  update operator_actions
  set reason = null
  where reason is not null
    and (job_id = any (jobs) or position(person in lower(reason)) > 0);
  relation := 'operator_actions';
  get diagnostics rows = row_count;
  return next;

  update operator_pauses
  set reason = 'forgotten'
  where position(person in lower(reason)) > 0;
  relation := 'operator_pauses';
  get diagnostics rows = row_count;
  return next;

  delete from email_retries where job_id = any (jobs) or new_job_id = any (jobs);
  relation := 'email_retries';
  get diagnostics rows = row_count;
  return next;
end $$;
comment on function email_forget_actions is
  'Part of email_forget(): erases the reasons of operators that are about a person, and deletes the retries of the person''s jobs.';

create or replace function email_forget(address text) returns table (relation text, rows bigint)
language plpgsql as $$
#variable_conflict use_column
declare
  person text := lower(trim(address));
  forgotten constant text := 'forgotten@invalid';
  jobs uuid[];
begin
  -- End the open jobs. A worker that holds one loses its lease, but may have handed the mail to Mailgun already.
  with gone as (
    delete from email_jobs_open as job where job.recipient = person returning job
  )
  insert into email_jobs
  select ended.*
  from gone, email_job_ended(gone.job, 'failed', 'forgotten', null, statement_timestamp()) as ended;

  jobs := array(select id from email_jobs where recipient = person);
  update email_jobs
  set recipient = forgotten,
    mailbox = forgotten,
    -- The query of the URL and a client's request id may identify the person.
    callback_url = split_part(callback_url, '?', 1),
    request_id = 'forgotten',
    traceparent = null,
    message = null,
    language = null,
    time_zone = null
  where recipient = person;
  relation := 'email_jobs';
  get diagnostics rows = row_count;
  return next;

  update email_attempts set message = null where job_id = any(jobs) and message is not null;
  relation := 'email_attempts';
  get diagnostics rows = row_count;
  return next;

  update email_events set message = null, recipient_domain = split_part(forgotten, '@', 2) where job_id = any(jobs);
  relation := 'email_events';
  get diagnostics rows = row_count;
  return next;

  delete from email_events_unmatched where job_id = any(jobs);
  relation := 'email_events_unmatched';
  get diagnostics rows = row_count;
  return next;

  delete from email_reconciliations where job_id = any(jobs);
  relation := 'email_reconciliations';
  get diagnostics rows = row_count;
  return next;

  delete from recipient_quotas where key = email_mailbox(person);
  relation := 'recipient_quotas';
  get diagnostics rows = row_count;
  return next;

  delete from suppressed_recipients where recipient = person;
  relation := 'suppressed_recipients';
  get diagnostics rows = row_count;
  return next;

  delete from suppression_lifts where recipient = person;
  relation := 'suppression_lifts';
  get diagnostics rows = row_count;
  return next;

  return query select * from email_forget_actions(person, jobs);
end $$;
comment on function email_forget is
  'Removes an address, and the texts reported about it, from all tables. Returns the number of affected rows per table. Open jobs of '
  'the address end as failed. Jobs, attempts, events and the actions of operators stay as anonymous rows, so that counts remain '
  'correct. Data at Supabase and Mailgun is not touched.';

-- What the api polls.

create function email_load(count_to bigint)
returns table (
  waiting bigint, jobs_per_second double precision, is_stopped boolean, time_left double precision,
  paused_portals text[], paused_waiting bigint[], paused_time_left double precision[], has_filed_retries boolean)
language plpgsql stable as $$
#variable_conflict use_column
declare
  now constant timestamptz := clock_timestamp();
  paused constant text[] := array(
    select portal from operator_pauses where portal is not null and ends_at > now order by portal collate "C");
begin
  return query
  with held as (
    select portal, count(*) as jobs, extract(epoch from min(deadline_at) - now)::double precision as time_left
    from email_jobs_open
    where paused <> '{}'
      and state in ('queued', 'retrying')
      and portal = any (paused)
    group by portal
  )
  select
    (select count(*)
      from (
        select from email_jobs_open
        where state in ('queued', 'retrying')
          -- The jobs of a paused portal hold up no other portal.
          and (paused = '{}' or portal is null or portal <> all (paused))
        limit count_to
      ) as counted),
    (select sum(worker.jobs_per_second)
      from email_workers as worker
      where worker.measured_at > now - interval '30 seconds'),
    exists (select from upstreams where stopped_by is not null)
      or exists (select from operator_pauses where portal is null and ends_at > now),
    (select extract(epoch from min(deadline_at) - now)::double precision
      from email_jobs_open
      where state in ('queued', 'retrying')
        -- What may be a job's own trouble says nothing about how long the next one will wait.
        and suspected_upstream is null
        and (paused = '{}' or portal is null or portal <> all (paused))),
    paused,
    array(select coalesce(held.jobs, 0) from unnest(paused) with ordinality as p (id, position)
      left join held on held.portal = p.id order by position),
    array(select held.time_left from unnest(paused) with ordinality as p (id, position)
      left join held on held.portal = p.id order by position),
    exists (select from email_retries where state = 'filed' and coalesce(taken_until <= now, true));
end $$;
comment on function email_load is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to); the jobs per '
  'second of all workers together (null if no worker measured it in the last 30 seconds); whether a breaker, a slow pace or an '
  'operator''s pause stops all mail; the seconds until the earliest deadline of a waiting job for which no upstream has failed (null '
  'if there is none, negative if the deadline has passed); the paused portals, with the number of their waiting jobs and the seconds '
  'until their earliest deadline, which the other columns leave out; and whether email_take_retries() would return anything.';

create or replace function email_admission(count_to bigint)
returns table (waiting bigint, jobs_per_second double precision, is_stopped boolean, time_left double precision)
language plpgsql stable as $$
begin
  return query
  select load.waiting, load.jobs_per_second, load.is_stopped, load.time_left from email_load(count_to) as load;
end $$;
comment on function email_admission is 'email_load() for apis of the previous version.';

-- Callers of the api can choose their own request ids. Ids that the api makes are UUIDv7s, which tell when the job was added, so only
-- the other ids are in this index.
create or replace function email_index_day(day regclass) returns void
language plpgsql as $$
begin
  execute format('create index %I on %s (recipient, created_at desc)', day || '_recipient', day);
  execute format('comment on index %I is %L', day || '_recipient', 'A person''s jobs of this day, newest first.');
  perform email_index_requests(day);
end $$;
create function email_index_requests(day regclass) returns void
language plpgsql as $$
begin
  execute format(
    'create index %I on %s (request_id) where request_id !~ %L', day || '_request', day,
    '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$');
  execute format(
    'comment on index %I is %L', day || '_request',
    'Jobs of this day by the request ids that callers chose. Ids that the api made (UUIDv7s) are not in it.');
end $$;
comment on function email_index_requests is
  'Part of email_index_day(): creates the index of request ids of a day partition of email_jobs.';
-- Partitions of days to come are empty, so this takes no time. Those of days past are too long to index in a migration.
do $$
declare
  day regclass;
begin
  for day in
    select inhrelid::regclass from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'email_jobs'::regclass
      and relname ~ '_[0-9]{8}$'
      and to_date(right(relname, 8), 'YYYYMMDD') > (clock_timestamp() at time zone 'utc')::date
  loop
    perform email_index_requests(day);
  end loop;
end $$;

select outbox_out_of_reach(relation)
from unnest(array['operator_actions', 'operator_actions_id_seq', 'operator_pauses', 'email_retries']::regclass[]) as relation;
select outbox_out_of_reach(routine)
from unnest(array['operator_actions_are_kept', 'email_index_requests']::regproc[]::regprocedure[]) as routine;
select outbox_runs_as_owner(routine)
from unnest(
  array[
    'outbox_requires_workers', 'email_pause', 'email_resume', 'email_cancel_job', 'email_retry_refusal', 'email_retry_job',
    'email_take_retries', 'email_settle_retry', 'email_forget_actions', 'email_load', 'email_admission']::regproc[]::regprocedure[])
  as routine;

-- So that an upgrade works before deploy/roles.sql has been run again.
do $$
begin
  if exists (select from pg_roles where rolname = 'magic_link_api') then
    grant execute on function email_load, email_retry_refusal, email_take_retries, email_settle_retry to magic_link_api;
  end if;
  if exists (select from pg_roles where rolname = 'magic_link_worker') then
    grant select on operator_pauses, operator_actions, email_retries to magic_link_worker;
    create policy worker_reads on operator_pauses for select to magic_link_worker using (true);
    create policy worker_reads on operator_actions for select to magic_link_worker using (true);
    create policy worker_reads on email_retries for select to magic_link_worker using (true);
    grant execute on function email_forget_actions to magic_link_worker;
  end if;
end $$;
