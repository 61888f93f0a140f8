-- Clearer comments. Only texts change. Day partitions copy the comments of their parent when they are created, so existing
-- partitions keep the earlier texts.

comment on column email_attempts.message is
  'Human-readable form of code, including the upstream''s error text. Links, addresses and keys are redacted. At most 1000 '
  'bytes. Null if code is null, or after email_forget().';

comment on table email_delivery_hours is
  'Mails per hour of the request and recipient domain: how many were sent, their current delivery status, and how long the '
  'deliveries took. Workers update it with email_roll_up(), so it lags by up to 30 seconds. They delete rows older than '
  'RETENTION_DAYS.';
comment on column email_delivery_hours.complained is 'Number of mails that the recipient marked as spam.';
comment on column email_delivery_hours.deferred is
  'Number of mails whose current status is deferred: the recipient''s server temporarily rejected them, and Mailgun retries.';

comment on column email_events.message is
  'Text from the recipient''s server or from Mailgun. Links, addresses and tokens are redacted. At most 1000 bytes. Null if '
  'there is none, or after email_forget().';
comment on column email_events.moved_from is
  'Value of email_jobs.delivery before this event changed it. Null if it was null, or if moves is false.';
comment on column email_events.recipient_domain is
  'Domain of the recipient''s address. email_forget() replaces it with the word invalid.';

comment on table email_events_unmatched is
  'Reported events that match no job: the job''s partition was dropped, another sender uses the same Mailgun domain, the '
  'mail''s link has since been replaced, or the event is forged. They have no effect. Workers delete them after '
  'RETENTION_DAYS.';
comment on column email_events_unmatched.job_id is 'Job id in the event. Null if the event has none.';
comment on column email_events_unmatched.message_id is
  'Message-Id in the event, with angle brackets. Null if the event has none.';

comment on table email_jobs is
  'One row per accepted request for a sign-in link: open jobs, and the history of ended ones. email_attempts has the steps '
  'that workers tried for each job, email_events what Mailgun reported about its mail.';
comment on column email_jobs.attempt is
  'Number of delivery attempts. Each claim adds 1. The attempt is subtracted again if the job did not cause the failure: the '
  'worker stopped, an upstream asked for a pause, or an upstream failed for everybody.';
comment on column email_jobs.attempted_at is 'When a worker last claimed the job. Null if it was never claimed.';
comment on column email_jobs.delivery is
  'Delivery status that Mailgun reported: accepted, deferred, delivered, undelivered, bounced, complained or suppressed. A '
  'report replaces it only if its email_delivery_rank() is higher, or equal and the event is later. Null until the first '
  'report. Reset to null when a new link replaces the link of the reported mail.';
comment on column email_jobs.message is
  'Human-readable form of code, and what to do about it, if anything. Contains no link, token or key. At most 1000 bytes. '
  'Null if code is null, or after email_forget().';
comment on column email_jobs.message_id is
  'Message-Id of the mail, with angle brackets. Set together with sealed_link before the first attempt to send, and kept '
  'after the job ends. Null until then. All retries with the same link have the same Message-Id; a new link gets a new '
  'Message-Id.';
comment on column email_jobs.place is
  'Position in the queue. Workers claim the smallest first. Equal to seq, unless the job superseded a waiting job: then it '
  'takes over that job''s place, so that a repeated request does not wait longer.';
comment on column email_jobs.probed_at is
  'When a worker last claimed the job as a probe of a stopped upstream, or last recorded a failure that may concern only this '
  'recipient. Probes take the job with the earliest time first. A job that supersedes this one inherits the value. Null if '
  'neither happened.';
comment on column email_jobs.recipient is
  'Address that the link is mailed to: normalized (NFKC), without surrounding spaces, in lower case. 3 to 254 bytes. '
  'email_forget() replaces it with forgotten@invalid.';
comment on column email_jobs.refused_at is
  'When suspected_upstream first refused this job with a 4xx response that may concern only this recipient. A job that '
  'supersedes this one inherits the value. Null if there was no such refusal.';
comment on column email_jobs.run_at is
  'Earliest time of the next attempt. Initially the time of the request. Updated each time the job is requeued.';
comment on column email_jobs.shown_host is
  'Host of the portal as the mail shows it, with the port if there is one, as written in CALLBACK_ORIGINS. For a wildcard '
  'entry: the part after the wildcard. The caller of the api cannot choose any part of it. 1 to 512 bytes. Null if the job '
  'was added by an api version without this column.';
comment on column email_jobs.state is
  'queued (waits for a worker), running (leased by a worker), retrying (waits until run_at), sent (Mailgun accepted the '
  'mail), failed (ended without success, see code), expired (not sent by deadline_at) or superseded (replaced by a newer '
  'request of the same recipient: code newer_request; or a repeat of the previous request: code duplicate).';
comment on column email_jobs.suspect_attempts is
  'Number of attempts used up by failures of suspected_upstream that may concern only this recipient. They are given back if '
  'the upstream turns out to fail for everybody.';
comment on column email_jobs.suspected_upstream is
  'Name of the upstream (as in upstreams.name) that last failed for the job in a way that may concern only this recipient. A '
  'job that supersedes this one inherits the value. Null if there was no such failure.';

comment on column email_programs.commit is
  'Abbreviated hash of the commit that the program was built from. Null if it was built outside a Git checkout.';
comment on column email_programs.max_connections is
  'Maximum number of connections that the program opens: DATABASE_MAX_CONNECTIONS plus 3 for its commits.';
comment on column email_programs.name is
  'Host, process id and start time of the program. For a worker, the same value as in email_jobs.worker.';
comment on column email_programs.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order. The first key encrypts, all of them decrypt. An id is a prefix of the '
  'key''s SHA-256 hash and does not reveal the key. Null for an api, which has no keys.';
comment on column email_programs_now.sealing_keys is
  'Ids of the keys in LINK_SEALING_KEY, in order. The first key encrypts, all of them decrypt. Null for an api.';
comment on column email_programs_summary.connections_allowed is
  'Number of connections that are available to roles without superuser rights: the limit of the server or of this database, '
  'whichever is lower. Limits of a pooler or of a role are not included.';
comment on column email_programs_summary.max_connections is
  'Maximum number of connections that all these programs open together.';
comment on column email_programs_summary.sealing_keys is
  'Distinct lists of sealing key ids among the workers. More than one only while keys are being changed.';
comment on column email_programs_summary.versions is
  'Distinct versions of these programs, each with its commit. More than one only during an upgrade.';
comment on column email_programs_summary.warnings is
  'Problems for an operator to look at, each with a code and a message: too_few_connections, sealing_keys_differ (a worker '
  'cannot open links that another worker sealed) or versions_differ. Null if there are none.';

comment on column email_reconciler.reason is
  'Why the reconciliation is paused until held_until, for example because Mailgun refused the key. Null if it is not paused.';
comment on column email_reconciliations.asks is
  'Number of queries to Mailgun that did not return the final status.';
comment on column email_reconciliations.next_ask_at is 'When a worker next asks Mailgun about the mail.';
comment on index email_reconciliations_due is 'Mails by the time of the next query to Mailgun.';

comment on column email_workers.jobs_per_second is
  'Jobs per second that the worker ended, averaged over up to 10 seconds. Measured only while more jobs wait than the worker '
  'can take.';

comment on table outbox_schema is
  'Oldest versions of the programs that may use these tables, in one row. A migration raises the numbers if an older program '
  'would misread or damage rows. Other migrations leave them unchanged, and older programs continue to work.';

comment on column recipient_quotas.clients is
  'Theoretical arrival times of RECIPIENT_CLIENT_RATE_LIMIT per client network: {"203.0.113.7": [time, …]}. Networks whose '
  'windows are all unused are removed when the next request is accepted.';
comment on column recipient_quotas.last_callback_url is
  'Callback URL of the last counted request. Null if there is none. The same request again within DUPLICATE_WINDOW is a '
  'duplicate, even if the job of the first one has failed. Otherwise a repeat would use up quota only if the address has no '
  'account, which would reveal who has one.';

comment on table redirect_checks is
  'One row per callback that a worker recently checked against Supabase''s redirect allow list. At most 10,000 rows; a valid '
  'row is never deleted to make room. Workers delete rows that are no longer valid. It is always safe to delete a row: the '
  'callback is checked again for the next job.';
comment on column redirect_checks.is_allowed is
  'True if Supabase accepted the callback without a query and with both test values of ?next=. Such a row is valid for an '
  'hour. False if it refused one of the three: then workers check each job''s own callback URL. Such a row is valid for a '
  'minute, so that a missing entry takes effect soon after an operator adds it.';
comment on column redirect_checks.origin_and_path is
  'Origin and path of the callback, for example https://portal.example.com/auth/callback. The query is not stored, so the '
  'table does not show who made a request or for which page.';

comment on table suppressed_recipients is
  'Addresses that are not mailed until a given time, because Mailgun reported that the mailbox does not exist or that the '
  'recipient wants no mail. Workers delete rows RETENTION_DAYS after the end of the suppression. To lift a suppression at '
  'once: select email_lift_suppression(''ann@example.com'');';
comment on column suppressed_recipients.domain is 'Domain of the address. Generated.';
comment on column suppressed_recipients.reason is
  'bounce (the recipient''s server does not know the mailbox or the domain), complaint (the recipient marked a mail as spam), '
  'or the Mailgun suppression list that the address is on: suppress-bounce, suppress-complaint, suppress-unsubscribe.';
comment on column suppressed_recipients.since is
  'When the reported event happened, by Mailgun''s clock, but at most the time of the report.';
comment on column suppressed_recipients.times is
  'Number of consecutive suppressions. A delivered mail deletes the row, unless the reason is a complaint.';
comment on column suppressed_recipients.until is
  'End of the suppression. For bounces and unsubscribes: 1 hour after since for the first suppression, 1 day for the second '
  'in a row, 7 days for each further one. For complaints: always 24 hours. Equal to since (not suppressed) if more than 20 '
  'addresses of the domain were reported within 10 minutes, which indicates a fault of the domain''s server.';

comment on column upstreams.checked_at is
  'When a worker last started a check call, which tests the service without side effects. Null if there was none.';
comment on column upstreams.last_success_at is
  'Start of the latest call that succeeded while there were suspects. Null if there was none.';
comment on column upstreams.message is
  'Human-readable form of code, and what to do about it. Null while neither the breaker nor the slow pace is in force.';
comment on column upstreams.resumed_at is
  'Start of the successful call that last ended a breaker or slow pace. Failures of earlier calls are ignored, even if they '
  'are recorded later. Null if there was none.';
comment on column upstreams.stopped_by is
  'What started the breaker or slow pace: answer (a response showed that a setting is wrong), check (a check call failed) or '
  'suspects (calls failed for three recipients without a success for another one in between). Null while neither is in force.';
comment on column upstreams.suspected_since is 'Start of the first suspect''s failed call. Null if there are no suspects.';
comment on column upstreams.suspects is
  'SHA-256 hashes of the recipients for whom the service failed although its check call succeeds. A success for another '
  'recipient clears them. The third suspect starts the breaker or the slow pace.';

comment on view email_delivery_by_domain is
  'Mails of the last 24 hours by recipient domain, the domain with the most mails first. Lags by up to 30 seconds.';
comment on column email_delivery_by_domain.complained is 'Number of delivered mails that the recipient marked as spam.';
comment on column email_delivery_by_domain.deferred is
  'Number of mails whose current status is deferred: the recipient''s server temporarily rejected them, and Mailgun retries.';
comment on column email_delivery_by_domain.undelivered is
  'Number of mails that could not be delivered for other reasons: delivery took too long, the mailbox was full, a policy '
  'forbade it, the server''s certificate could not be verified, or Mailgun rejected the mail.';
comment on column email_failures_by_code.last_message is
  'Message of the job that ended last, and what to do about it, if anything.';
comment on column email_jobs_now.next_try is 'When the next retrying job is due. Null for other states.';

comment on function email_admission is
  'The api calls it every second. Returns the number of waiting jobs (queued or retrying, counted up to count_to); the jobs '
  'per second of all workers together (null if no worker measured it in the last 30 seconds); whether a breaker or slow pace '
  'is in force; and the seconds until the earliest deadline of a waiting job for which no upstream has failed (null if there '
  'is none, negative if the deadline has passed).';
comment on function email_enqueue is
  'The api calls it last in an enqueue. Adds accepted requests as jobs, supersedes the waiting jobs of their recipients, and '
  'updates their quotas. Fails with 40001 or 23505 if a quota row has changed since email_read_recipients() read it.';
comment on function email_forget is
  'Removes an address, and the texts reported about it, from all tables. Returns the number of affected rows per table. Open '
  'jobs of the address end as failed. Jobs, attempts and events stay as anonymous rows, so that counts remain correct. Data '
  'at Supabase and Mailgun is not touched.';
comment on function email_program_stopped is 'Deletes the row of a program. Each program calls it when it stops.';
comment on function email_quantile is
  'Estimates a quantile (0 to 1) of a histogram. bounds: upper ends of all buckets except the last. counts: number of entries '
  'in each bucket. Null if the histogram is empty.';
comment on function email_suppress is
  'Part of email_take_reports(): suppresses the recipients of the given reports or lifts their suppression. Returns one row '
  'per newly reported recipient: suppressed, or held_back if too many addresses of its domain were reported at once.';
comment on function email_suppression_time is
  'How long an address is suppressed for this reason, by the number of suppressions in a row. Complaints: 24 hours. Other '
  'reasons: 1 hour, then 1 day, then 7 days. 0 if times is less than 1.';
comment on function email_take_reports is
  'Takes a batch of reports from Mailgun, a JSON array: stores their tokens and events, updates email_jobs.delivery, and '
  'suppresses recipients. Returns one row per report, in order: its outcome (recorded, known, unmatched or token_reused); the '
  'new value of email_jobs.delivery if the report changed it; and suppressed or held_back if the report is a reason to '
  'suppress its recipient.';
comment on function outbox_suits is
  'Whether this session''s program (worker or api) is new enough for these tables.';
comment on function outbox_versions is
  'Returns the newest applied migration and the contents of outbox_schema. Programs call it regularly.';
