-- What operators look at. Each answers at once however long the history: the first from the open partition alone,
-- the second from the newest ids backwards, the third from an index that holds failures only.

create view email_jobs_now with (security_invoker = true) as
select
  state,
  code,
  count(*) as jobs,
  date_trunc('second', clock_timestamp() - min(created_at)) as oldest,
  min(run_at) filter (where state = 'retrying') as next_try
from email_jobs
where finished_at = 'infinity'
group by state, code
order by state, jobs desc;
comment on view email_jobs_now is 'Open jobs by state and by the reason of their last failure.';
comment on column email_jobs_now.state is 'As in email_jobs.';
comment on column email_jobs_now.code is 'Reason of the last failure; null where none has failed yet.';
comment on column email_jobs_now.jobs is 'How many.';
comment on column email_jobs_now.oldest is 'How long the oldest of them has been waiting since its request.';
comment on column email_jobs_now.next_try is 'When the next of those that wait for another try is due.';

create view email_jobs_recent with (security_invoker = true) as
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
  id
from email_jobs
order by id desc;
comment on view email_jobs_recent is
  'One line per job, the newest request first (an id begins with its time). Use it with LIMIT.';
comment on column email_jobs_recent.created_at is 'When the request was accepted.';
comment on column email_jobs_recent.recipient is 'Whom the link is for.';
comment on column email_jobs_recent.state is 'As in email_jobs.';
comment on column email_jobs_recent.delivery is 'What Mailgun reported, as in email_jobs.';
comment on column email_jobs_recent.attempts is 'Deliveries begun.';
comment on column email_jobs_recent.last_words is 'Reason of the last failure, or of the end.';
comment on column email_jobs_recent.seconds_to_sent is 'From the request until Mailgun had the mail.';
comment on column email_jobs_recent.seconds_to_delivered is 'From the request until the mailbox''s server had it, by Mailgun''s clock.';
comment on column email_jobs_recent.request_id is 'X-Request-Id of the request.';
comment on column email_jobs_recent.id is 'The job: email_attempts.job_id, email_events.job_id.';

create index email_jobs_failures on email_jobs (finished_at) where state in ('failed', 'expired');
comment on index email_jobs_failures is 'Jobs that were not mailed, by the time of their end.';

create view email_failures_by_code with (security_invoker = true) as
select
  code,
  state,
  count(*) as jobs,
  max(finished_at) as last_at,
  (array_agg(message order by finished_at desc))[1] as last_message
from email_jobs
where state in ('failed', 'expired')
  and finished_at > now() - interval '1 day'
  and finished_at <= now()
group by code, state
order by jobs desc;
comment on view email_failures_by_code is 'Jobs that were not mailed in the last 24 hours, by reason.';
comment on column email_failures_by_code.code is 'The reason, as in email_jobs.';
comment on column email_failures_by_code.state is 'failed, or expired.';
comment on column email_failures_by_code.jobs is 'How many.';
comment on column email_failures_by_code.last_at is 'When the last of them ended.';
comment on column email_failures_by_code.last_message is 'What was said of that one, with what to do where there is something to do.';

select outbox_out_of_reach(relation)
from unnest(array['email_jobs_now', 'email_jobs_recent', 'email_failures_by_code']::regclass[]) as relation;
