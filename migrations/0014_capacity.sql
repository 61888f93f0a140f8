-- How fast workers work, and what the api looks at once a second: a request is taken only if its mail can go out in time.

create table email_workers (
  name            text             primary key,
  jobs_per_second double precision not null,
  measured_at     timestamptz      not null default clock_timestamp(),

  constraint sizes_are_sane check (octet_length(name) <= 128 and jobs_per_second >= 0)
);
comment on table email_workers is
  'One row per worker that has had a backlog to work off of late: how fast it does. The api takes no more requests than all of them can mail in time.';
comment on column email_workers.name is 'The worker, as in email_jobs.worker.';
comment on column email_workers.jobs_per_second is 'Jobs that it ended a second, measured only while more waited than it could take.';
comment on column email_workers.measured_at is 'When. Older than half a minute, it says nothing any more.';
select outbox_out_of_reach('email_workers'::regclass);

-- What waits is counted up to so many, so that a look costs the same however long the queue.
create function email_admission(count_to bigint)
returns table (waiting bigint, jobs_per_second double precision, is_stopped boolean, time_left double precision)
language plpgsql stable as $$
begin
  return query
  select
    (select count(*)
      from (select from email_jobs_open where state in ('queued', 'retrying') limit count_to) as counted),
    (select sum(worker.jobs_per_second)
      from email_workers as worker
      where worker.measured_at > statement_timestamp() - interval '30 seconds'),
    exists (select from upstreams where open_since is not null),
    (select extract(epoch from min(deadline_at) - statement_timestamp())::double precision
      from email_jobs_open where state in ('queued', 'retrying'));
end $$;
comment on function email_admission is
  'For the api: how many jobs wait (at most so many are counted), how many workers end a second, whether a breaker is open, and the seconds until the earliest deadline of those that wait.';
select outbox_runs_as_owner('email_admission'::regproc::regprocedure);
