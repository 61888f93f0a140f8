-- How often a person may be mailed, over all replicas of the api. GCRA: per window one theoretical arrival
-- time (TAT); a request is let in while the TAT is less than a window ahead, and moves it on by window ÷ limit.

create table recipient_quotas (
  key  text          primary key,
  tats timestamptz[] not null default '{}'
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

comment on table recipient_quotas is
  'Mail quotas per recipient and per recipient and client. To let a person ask again at once, delete the rows whose key begins with the mailbox.';
comment on column recipient_quotas.key is 'The mailbox (see email_jobs.mailbox), or mailbox, space, client network for the tighter quota of one client.';
comment on column recipient_quotas.tats is 'Theoretical arrival time per window of the quota, in the order of the setting. In the past: the window is unused.';

-- The row is also what orders enqueues and put-backs of one recipient: both lock it before they look for the newest job.

select outbox_out_of_reach('recipient_quotas'::regclass);
