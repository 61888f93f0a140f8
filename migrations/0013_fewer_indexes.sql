-- Each index of the open partition is written to three times in a job's life. One now does what three did: it finds a
-- person's open jobs, and lets a person have one that waits and one that runs. The history keeps its own, made with each day.

create unique index email_jobs_open_recipient on email_jobs_open (recipient, (state = 'running'));
comment on index email_jobs_open_recipient is
  'At most one waiting job per recipient (a newer request ends the older one), and at most one running (their links would kill each other).';
drop index email_jobs_open_one_waiting, email_jobs_open_one_running, email_jobs_recipient;

create function email_index_day(day regclass) returns void
language plpgsql as $$
begin
  execute format('create index %I on %s (recipient, created_at desc)', day || '_recipient', day);
  execute format('comment on index %I is %L', day || '_recipient', 'A person''s jobs of this day, newest first.');
end $$;
comment on function email_index_day is 'Makes the indexes of a day of email_jobs that the open jobs do without.';
select outbox_out_of_reach('email_index_day'::regproc::regprocedure);

select email_index_day(inhrelid)
from pg_inherits
where inhparent = 'email_jobs'::regclass and inhrelid <> 'email_jobs_open'::regclass;
