-- Mails of which too little has been reported: Mailgun is asked about them (MAILGUN_EVENTS_KEY).

create table email_reconciliations (
  job_id      uuid        primary key,
  message_id  text        not null,
  ended_at    timestamptz not null,
  asks        smallint    not null default 0,
  next_ask_at timestamptz not null
);
comment on table email_reconciliations is
  'Jobs whose mail Mailgun may have, and of which no end has been reported 10 minutes after theirs: workers ask Mailgun about them.';
comment on column email_reconciliations.job_id is 'email_jobs.id.';
comment on column email_reconciliations.message_id is 'Message-Id of the mail.';
comment on column email_reconciliations.ended_at is 'email_jobs.finished_at.';
comment on column email_reconciliations.asks is 'How often Mailgun was asked.';
comment on column email_reconciliations.next_ask_at is 'When it is asked next.';
create index email_reconciliations_due on email_reconciliations (next_ask_at);
comment on index email_reconciliations_due is 'Whom to ask about next.';

create table email_reconciler (
  enlisted_to timestamptz not null,
  held_by     text,
  held_until  timestamptz not null,
  reason      text
);
comment on table email_reconciler is 'One row: how far reconciliation has come, and which worker is at it.';
comment on column email_reconciler.enlisted_to is 'Jobs that ended up to this time have been looked at.';
comment on column email_reconciler.held_by is 'The worker that asks Mailgun now, or was the last to.';
comment on column email_reconciler.held_until is 'No other worker asks before this time; nobody does while Mailgun wants patience or refuses the key.';
comment on column email_reconciler.reason is 'Why nobody asks until then, if so.';
insert into email_reconciler (enlisted_to, held_until) values (clock_timestamp(), clock_timestamp());

select outbox_out_of_reach(relation)
from unnest(array['email_reconciliations', 'email_reconciler']::regclass[]) as relation;
