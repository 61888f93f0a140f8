-- Plainer comments. Only texts change. Day partitions copy the comments of their parent when they are created, so
-- existing partitions keep the earlier texts.

comment on column email_attempts.code is
  'Machine-readable reason for the outcome, at most 64 bytes. If the outcome is ok: the reason why the link of an '
  'earlier attempt was replaced, or null if no link was replaced.';
comment on column email_attempts.duration_ms is 'Milliseconds from the start of the step to the end of the response.';
comment on column email_attempts.http_status is 'HTTP status of the response. Null if there was no response.';
comment on column email_attempts.step is
  'generate_link (requested a link from Supabase Auth) or send (handed the mail to Mailgun).';
comment on column email_attempts.worker is 'Worker that performed the step, as in email_jobs.worker.';

comment on column email_events.delivery is
  'Delivery status that the event reports, as in email_jobs.delivery. Null if the event reports none, for example '
  'in Mailgun''s test mode.';
comment on column email_events.enhanced_code is
  'Enhanced status code (RFC 3463) from the recipient''s server, for example 5.1.1. Null if the event has none.';
comment on column email_events.moved_from is
  'Value of email_jobs.delivery before this event changed it. Null if that value was null, or if the event did not '
  'change it.';
comment on column email_events.smtp_code is
  'SMTP status code from the recipient''s server, for example 250 or 550, or one of Mailgun''s own codes: 605 '
  '(suppressed) or 650 (test mode). Null if the event has none.';

comment on column email_failures_by_code.last_message is
  'Message of the job that ended last. It explains the code and, if necessary, what to do.';
comment on column email_failures_by_code.portal is
  'Id of the jobs'' portal, as in email_jobs.portal. Null if the jobs have none.';

comment on column email_jobs.attempt is
  'Number of delivery attempts. Each claim adds 1. The attempt is subtracted again if the job did not cause the '
  'failure, for example because the worker stopped, mail was paused, or an upstream failed for all recipients.';
comment on column email_jobs.cancelled_at is
  'When an operator cancelled the job while a worker was running it. The worker then ends the job instead of '
  'mailing it. Null for all other jobs: a waiting job ends immediately when it is cancelled.';
comment on column email_jobs.code is
  'Machine-readable reason why the last attempt failed or why the job ended, for example redirect_not_allowed. At '
  'most 64 bytes. Null if nothing failed. For a sent job: null, or no_trace if Mailgun later has no record of the '
  'mail.';
comment on column email_jobs.language is
  'Language of the mail: a BCP 47 tag such as de. The api chooses it from the languages that are available for '
  'mails. Null if the job was added by an api version without this column.';
comment on column email_jobs.link_created_at is
  'When the call to Supabase that created the link began. The link''s lifetime starts at this time. The value is '
  'kept after the job ends. Null until a link is stored.';
comment on column email_jobs.mailbox is
  'Mailbox that the recipient''s address belongs to: the address without +tag, and for gmail.com without dots '
  '(googlemail.com counts as gmail.com). Key of recipient_quotas.';
comment on column email_jobs.place is
  'Position in the queue. Workers claim the job with the smallest position first. Equal to seq, unless the job '
  'superseded a waiting job: then it takes over the position of that job, so that repeating a request does not make '
  'the wait longer.';
comment on column email_jobs.portal is
  'Id of the portal that the person signs in to, from PORTALS_FILE: 1 to 32 characters from a-z, 0-9 and -. It '
  'determines the settings of the mail. Null if the deployment has no PORTALS_FILE, or if the job was added by an '
  'api version without this column.';
comment on column email_jobs.probed_at is
  'When a worker last claimed the job as a probe of a stopped upstream, or last recorded a failure that may concern '
  'only this recipient. Jobs without a time are probed first, and then the job with the earliest time. A job that '
  'supersedes this one inherits the value. Null if neither has happened.';
comment on column email_jobs.requested_at is
  'When the person made the request that an operator retried: created_at of the first job. The mail shows this '
  'time. Null for a job that is not a retry.';
comment on column email_jobs.seq is
  'Order of acceptance, from email_jobs_seq. Of two jobs for the same recipient, the one with the larger seq is '
  'newer and supersedes the other.';
comment on column email_jobs.shown_host is
  'Host of the portal as the mail shows it, with the port if there is one, as written in CALLBACK_ORIGINS. For a '
  'wildcard entry, only the part after the wildcard, so that the caller of the api cannot choose any of it. 1 to '
  '512 bytes. Null if the job was added by an api version without this column.';
comment on column email_jobs.state is
  'queued (waits for a worker), running (leased by a worker), retrying (waits until run_at), sent (Mailgun accepted '
  'the mail), failed (ended without success, see code), expired (not sent by deadline_at), superseded (a newer '
  'request for the same recipient replaced it, with the code newer_request, or it repeated the previous request, '
  'with the code duplicate) or cancelled (by an operator, see operator_actions).';
comment on column email_jobs.suspect_attempts is
  'Number of attempts that failed because of suspected_upstream in a way that may concern only this recipient. They '
  'are subtracted from attempt if it turns out that the upstream fails for all recipients.';
comment on column email_jobs.time_zone is
  'Time zone in which the mail shows times: a name from the tz database such as Europe/Berlin. Null for UTC.';
comment on column email_jobs.worker is
  'Worker that is running the job or was the last to run it, as hostname:pid:start time. At most 128 bytes. Null if '
  'no worker has claimed the job.';

comment on column email_jobs_now.oldest is
  'Age of the oldest of these jobs: the time since its request, truncated to whole seconds.';
comment on column email_jobs_now.portal is
  'Id of the jobs'' portal, as in email_jobs.portal. Null if the jobs have none.';

comment on view email_jobs_recent is
  'One row per job, the newest request first (each id starts with the time of the request). Use it with LIMIT.';
comment on column email_jobs_recent.last_words is
  'Code and message of the last failure, or the reason why the job ended. Null if nothing failed.';
comment on column email_jobs_recent.portal is
  'Id of the job''s portal, as in email_jobs.portal. Null if the job has none.';

comment on column email_programs.confirm_keys is
  'Ids of the keys in CONFIRM_KEY, in order. The first key encrypts the links of new mails, and all of them decrypt '
  'links. An id is a prefix of the key''s SHA-256 hash and does not reveal the key. Null without CONFIRM_KEY.';
comment on column email_programs.link_style is
  'Target of the links in a worker''s new mails (LINK_STYLE): confirm, verify, token_hash or code. Null for an api, '
  'and for a worker version without this column.';
comment on column email_programs.portals is
  'Ids of the portals in PORTALS_FILE when the program last updated the row. Null without PORTALS_FILE, and for a '
  'program version without this column.';
comment on column email_programs.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order. The first key encrypts new links, and all of them decrypt links. '
  'An id is a prefix of the key''s SHA-256 hash and does not reveal the key. Null for an api, which has no such '
  'keys.';
comment on column email_programs.seen_at is 'When the program last updated the row.';
comment on column email_programs.started_at is 'When the program first wrote the row.';

comment on view email_programs_now is 'The running programs: those that updated their row in the last 30 seconds.';
comment on column email_programs_now.confirm_keys is
  'Ids of the keys in CONFIRM_KEY, in order. The first key encrypts the links of new mails, and all of them decrypt '
  'links. Null without CONFIRM_KEY.';
comment on column email_programs_now.link_style is
  'Target of the links in a worker''s new mails, as in email_programs.link_style. Null for an api.';
comment on column email_programs_now.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order. The first key encrypts new links, and all of them decrypt links. '
  'Null for an api.';
comment on column email_programs_now.seen_ago is
  'Time since the program last updated its row, truncated to whole seconds.';
comment on column email_programs_now.started_at is 'When the program first wrote its row.';

comment on view email_programs_summary is
  'A summary, in one row, of the programs that updated their row in the last 30 seconds.';
comment on column email_programs_summary.max_connections is
  'Maximum number of connections that these programs open in total.';
comment on column email_programs_summary.warnings is
  'Problems for an operator to look at, each with a code and a message: too_few_connections, sealing_keys_differ (a '
  'worker cannot decrypt links that another worker has encrypted), confirm_keys_differ (a program cannot read the '
  'links that a worker mails) or versions_differ. Null if there are none.';

comment on table email_reconciler is
  'Progress and lease of the reconciliation, in one row. Only one worker at a time queries Mailgun.';
comment on column email_reconciler.enlisted_to is
  'All jobs that had ended by this time have been considered for email_reconciliations.';
comment on column email_reconciler.held_by is
  'Worker that holds the lease or was the last to hold it. Null if no worker has ever held it.';
comment on column email_reconciler.held_until is
  'When the lease expires. If reason is set, no worker queries Mailgun before this time.';

comment on table email_reconciliations is
  'Ended jobs whose mail Mailgun may have, but whose final delivery status was not reported within 10 minutes after '
  'they ended. Workers query Mailgun about each of them until the status is known, for at most 24 hours after the '
  'job ended.';
comment on column email_reconciliations.next_ask_at is 'When a worker will next query Mailgun about the mail.';

comment on column email_retries.decided_at is 'When an api accepted or refused the retry. Null until then.';
comment on column email_retries.filed_at is 'When the operator requested the retry.';
comment on column email_retries.filed_by is 'Role that the operator logged in with (session_user).';
comment on column email_retries.message is
  'Why the retry was refused, in a sentence for people. At most 500 bytes. Null unless the retry was refused.';
comment on column email_retries.taken_until is
  'Time by which the api that has taken the retry must finish it. After that, any api may take it. Null if no api '
  'has taken it.';

comment on column email_rollup.rolled_up_to is
  'email_delivery_hours includes all jobs that ended, and all events that were received, until this time.';

comment on column email_workers.jobs_per_second is
  'Number of jobs that the worker ended per second, averaged over at most 10 seconds. Measured only while more jobs '
  'are waiting than the worker can claim.';

comment on table operator_actions is
  'What operators did: one row for each time that an operator cancelled or retried a job, set or changed a pause, or '
  'ended a pause early. The functions for operators write the row in the transaction that performs the action. Rows '
  'are never changed or deleted, except that email_forget() erases reasons.';
comment on column operator_actions.actor is
  'Role that the operator logged in with (session_user). No parameter can change it.';
comment on column operator_actions.ends_at is 'When the pause was due to end. Null for other actions.';
comment on column operator_actions.id is 'Sequence number of the action.';
comment on column operator_actions.reason is
  'The operator''s reason, at most 500 bytes. Null if the operator gave none, or if email_forget() has erased it.';

comment on column operator_pauses.ends_at is 'When the pause ends, unless an operator ends it earlier.';
comment on column operator_pauses.paused_by is 'Role that the operator logged in with (session_user).';
comment on column operator_pauses.portal is 'Id of the portal. Null if the pause applies to all portals.';
comment on column operator_pauses.reason is 'Reason for the pause, for other operators to read. 1 to 500 bytes.';
comment on column operator_pauses.target is
  'What is paused: mail (everything), supabase, mailgun, or portal: followed by the id of a portal. While mail, '
  'supabase or mailgun is paused, workers claim no jobs, because every job needs both services. While a portal is '
  'paused, workers claim none of its jobs. Workers also hold back the mails of jobs that they are already running, '
  'unless only supabase is paused.';

comment on column outbox_schema.api_from is 'Oldest migration that an api must know to be allowed to add jobs.';
comment on column outbox_schema.is_the_only_row is 'Always true, so that the table has at most one row.';
comment on column outbox_schema.worker_from is 'Oldest migration that a worker must know to be allowed to claim jobs.';

comment on table recipient_quotas is
  'Mail quotas per mailbox, per mailbox and client network, and per mailbox and portal. To let a person make '
  'requests again immediately, delete the row of the mailbox. Workers delete rows that no longer limit anything.';
comment on column recipient_quotas.last_callback_url is
  'Callback URL of the last counted request. Null if there is none. The same request within DUPLICATE_WINDOW is a '
  'duplicate, even if the job of the last request has failed. Without this rule, a repeat would use up quota only '
  'if the address has no account, which would reveal who has an account.';

comment on column redirect_checks.is_allowed is
  'True if Supabase accepted the callback without a query and with each of two test values of ?next=. The row is '
  'then valid for an hour. False if Supabase refused any of these three URLs: workers then check the callback URL '
  'of each job. The row is then valid for a minute, so that a missing entry takes effect soon after an operator '
  'adds it.';

comment on table suppressed_recipients is
  'Addresses that are not mailed until a given time, because Mailgun reported that the mailbox does not exist or '
  'that the recipient wants no mail. Workers delete rows RETENTION_DAYS after the end of the suppression. To lift a '
  'suppression immediately: select email_lift_suppression(''ann@example.com'');';
comment on column suppressed_recipients.checked_at is
  'When a worker last looked up the address in Mailgun''s suppression lists. Null if no worker has done so since '
  'the last report.';
comment on column suppressed_recipients.domain is 'Domain of the address, generated from recipient.';
comment on column suppressed_recipients.listed is
  'Whether the address is known to be on one of Mailgun''s suppression lists. When a worker finds that such an '
  'address is no longer listed, it deletes the row.';
comment on column suppressed_recipients.since is
  'When the reported event happened, by Mailgun''s clock, but never later than the time of the report.';
comment on column suppressed_recipients.until is
  'End of the suppression. For bounces and unsubscribes, the first suppression lasts 1 hour, the second consecutive '
  'one 1 day, and each further one 7 days. For complaints, each lasts 24 hours. Equal to since (not suppressed) if '
  'more than 20 addresses of the domain were reported within 10 minutes, which indicates a fault of the domain''s '
  'server.';

comment on table suppression_lifts is
  'Addresses that a worker still has to remove from Mailgun''s suppression lists. email_lift_suppression() adds '
  'rows, and workers delete them.';

comment on table upstreams is
  'One row per service that the workers call: its circuit breaker, its slow mode, the pause that it requested, and '
  'the recipients for whom it recently failed. All workers share the rows.';
comment on column upstreams.code is
  'Machine-readable reason why the breaker is open or slow mode is on. Null otherwise.';
comment on column upstreams.message is
  'Human-readable explanation of code, and what to do about it. Null if code is null.';
comment on column upstreams.paused_until is
  'End of the pause that the service requested by rate limiting (such as HTTP 429). Until then, workers claim no '
  'jobs and, if the service is mailgun, send no mails. Null if no pause was requested. A worker clears the value '
  'when the pause is over.';
comment on column upstreams.probe_at is
  'When a worker may next claim one job as a probe, to see whether the problem is fixed. Null while the breaker is '
  'closed and slow mode is off.';
comment on column upstreams.probes is
  'Number of probes since the breaker opened or slow mode began. 0 while the breaker is closed and slow mode is '
  'off.';
comment on column upstreams.resumed_at is
  'Start of the successful call that last closed the breaker or ended slow mode. Failures of calls that started '
  'earlier are ignored, even if they are recorded later. Null if this has never happened.';
comment on column upstreams.setting is
  'Name of the setting to check, for example MAILGUN_API_KEY. Null while the breaker is closed and slow mode is '
  'off.';
comment on column upstreams.slow_since is
  'When slow mode began, because the service failed for all recipients with 5xx responses or did not respond. Until '
  'the service works again, workers claim only single jobs as probes, as with an open breaker. Null while slow mode '
  'is off.';
comment on column upstreams.stopped_by is
  'What opened the breaker or started slow mode: answer (a response showed that a setting is wrong), check (a check '
  'call failed) or suspects (calls failed for three recipients without a success for another recipient in between). '
  'Null while the breaker is closed and slow mode is off.';
comment on column upstreams.suspects is
  'SHA-256 hashes of the recipients for whom the service failed although its check call succeeded. A success for '
  'another recipient clears the list. The third suspect opens the breaker or starts slow mode.';

comment on table webhook_tokens is
  'Tokens of accepted webhooks. Mailgun signs the timestamp and the token but not the event, so a token that '
  'arrives again with a different event is rejected.';
comment on column webhook_tokens.digest is 'SHA-256 hash of the event that the token first arrived with, 32 bytes.';

comment on function email_cancel_job is
  'For operators: cancels an open job. Returns cancelled, cancelling (a worker is running the job and will end it '
  'instead of mailing it), not_found, already_ended, may_be_sent (a worker may be sending the mail at this moment, '
  'so nothing was changed) or busy (try again), and a sentence for people.';
comment on function email_drop_partition is
  'Drops one day partition that ended more than retention_days days ago (at least 1). Returns its name and whether '
  'it was dropped. A partition that stays in use for 200 ms is not dropped. Returns no row if there is nothing to '
  'drop. Workers call it every hour.';
comment on function email_enqueue_jobs is
  'The last call of an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their recipients, '
  'and updates their quotas. Returns the superseded jobs. Fails with 40001 or 23505 if the quota rows have changed '
  'since email_read_recipients() returned them.';
comment on function email_enqueue_newcomer_jobs is
  'The api calls it for a batch of distinct mailboxes. If none of them has a quota row and none of the addresses is '
  'suppressed, adds the requests as jobs, sets their quotas and returns no rows. Otherwise adds nothing and returns '
  'the same rows as email_read_recipients(). Fails with 23505 if another caller adds a mailbox at the same time, or '
  'if a recipient without a quota row has a waiting job. portal_quota_intervals contains an interval[] literal for '
  'each request of a portal with its own quota, and null for all other requests.';
comment on function email_forget_actions is
  'Part of email_forget(): erases the reasons of operators'' actions that concern the person, and deletes the '
  'retries of the person''s jobs.';
comment on function email_job_time is
  'Time of a job''s request, to the millisecond, by the api''s clock. It is read from the job''s id, a UUIDv7.';
comment on function email_lift_suppression is
  'Lifts the suppression of an address immediately. If a worker has a MAILGUN_EVENTS_KEY, it then removes the address '
  'from Mailgun''s lists of bounces, complaints and unsubscribes. Returns whether the address was in '
  'suppressed_recipients.';
comment on function email_load is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to); '
  'the jobs per second of all workers together (null if no worker measured it in the last 30 seconds); whether an '
  'open breaker, slow mode or an operator''s pause stops all mail; the seconds until the earliest deadline of a '
  'waiting job for which no upstream has failed (null if there is none, negative if the deadline has passed); the '
  'paused portals, each with the number of its waiting jobs and the seconds until their earliest deadline (the other '
  'columns leave out these jobs); and whether email_take_retries() would return anything.';
comment on function email_mailbox is
  'Mailbox that a lower-case address belongs to, as in email_jobs.mailbox: the address without +tag, and for '
  'gmail.com without dots (googlemail.com counts as gmail.com).';
comment on function email_pause is
  'For operators: pauses mail, supabase, mailgun or portal:ID for at most 7 days, or changes the reason and the end '
  'of such a pause. operator_pauses.target describes what is held back. Requests are accepted until the oldest '
  'waiting job has used up half of its deadline. Returns what is paused, and until when.';
comment on function email_program_alive is
  'Records that a program is running, and returns the row of email_programs_summary. Each program calls it every 10 '
  'seconds.';
comment on function email_read_recipients is
  'The first call of an enqueue. Returns one row per mailbox that has a quota row: its quotas, their version (the '
  'row''s xmin) and the last request; and one row per suppressed address: the reason and end of the suppression.';
comment on function email_resume is
  'For operators: ends a pause immediately. Returns false if there was no such pause.';
comment on function email_retry_job is
  'For operators: files the retry of an ended job, for an api to run. Returns filed, already_retried, or a code of '
  'email_retry_refusal(), and a sentence for people. Only filed changes anything.';
comment on function email_retry_refusal is
  'Why an ended job cannot be retried now: not_found, forgotten, still_open, duplicate, asked_again, too_old, '
  'may_have_arrived, banned or suppressed, and a sentence for people. Returns no row if the job can be retried.';
comment on function email_roll_up is
  'Counts new jobs and events in email_delivery_hours, at most one hour of them per call. Returns true if more are '
  'left to count. Workers call it every 10 seconds.';
comment on function email_settle_retry is
  'Records that a retry was accepted or refused. An api calls it in the transaction that adds the new job, or when '
  'it refuses the retry. Returns false if the retry is no longer filed. The caller must then roll back.';
comment on function email_suppression_time is
  'How long an address is suppressed for this reason after the given number of consecutive suppressions. '
  'Complaints: 24 hours. Other reasons: 1 hour, then 1 day, then 7 days. 0 if times is less than 1.';
comment on function email_take_retries is
  'An api calls it when retries are filed. Takes up to the given number of retries for 30 seconds, and returns the '
  'requests of their jobs. Columns other than job_id are null if the job no longer exists.';
comment on function operator_actions_are_kept is
  'Trigger function of operator_actions: refuses every change to a row, except that its reason may be erased.';
comment on function outbox_excludes_older_workers is
  'Raises outbox_schema.worker_from to the first migration that knows portals. Called whenever a job with a portal '
  'is added.';

comment on index email_events_received is 'Finds the events that were received in a given time range.';
comment on index email_jobs_finished is 'Finds the jobs that ended in a given time range.';
comment on index email_reconciliations_due is 'Finds the mails about which Mailgun must be queried.';
comment on index email_retries_new_job is 'Finds the retry that added a job.';
comment on index operator_actions_job is 'Finds what operators did to a job.';
