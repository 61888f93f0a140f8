-- Fills an empty, migrated database with `fill.jobs` ended jobs, spread over 30 days. About half of the recipients are
-- in one mail domain, the others in up to 5,000 domains. About one job in a hundred has failed; the mails of all other
-- jobs were sent and delivered. Delivery events are added only for the last day. The request ids look like ids that
-- callers set. The script prints a line for each day.
--
--     psql "$DATABASE_URL" -c "set fill.jobs = 10000000" -f tests/fill_history.sql
--
-- `cargo bench --bench views` runs this script and measures the views.
do $$
declare
  jobs constant bigint := current_setting('fill.jobs')::bigint;
  per_day constant bigint := jobs / 30;
  day timestamptz;
  name text;
begin
  set local synchronous_commit = off;
  for n in reverse 29..0 loop
    day := date_trunc('day', now() at time zone 'utc') at time zone 'utc' - make_interval(days => n);
    for t in 1..3 loop
      name := (array['email_jobs', 'email_attempts', 'email_events'])[t] || to_char(day at time zone 'utc', '_YYYYMMDD');
      continue when to_regclass(name) is not null;
      execute format(
        'create table %I partition of %I for values from (%L) to (%L)',
        name, (array['email_jobs', 'email_attempts', 'email_events'])[t], day, day + interval '1 day');
      if t = 1 then
        perform email_index_day(name::regclass);
      end if;
    end loop;
    insert into email_jobs (
      id, state, delivery, delivery_at, recipient, callback_url, attempt, code, message, created_at, run_at, attempted_at,
      deadline_at, finished_at, request_id, message_id, worker, link_created_at, mailbox, place, seq)
    select
      (lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0') || '7' || left(hash, 3) || '8' || substr(hash, 4, 15))::uuid,
      case when failed then 'failed' else 'sent' end,
      case when not failed then 'delivered' end,
      case when not failed then created_at + random() * interval '4 s' end,
      recipient, 'https://portal.example.com/auth/callback', 1,
      case when failed then 'redirect_not_allowed' end,
      case when failed then 'Add the callback URL to the redirect allow list.' end,
      created_at, created_at, created_at, created_at + interval '15 min', created_at + interval '200 ms',
      'trace-' || left(hash, 16), case when not failed then '<' || hash || '@mg.example.com>' end, 'fill', created_at, recipient, n * per_day + i, n * per_day + i
    from (
      select
        i,
        md5(n || '-' || i) as hash,
        random() < 0.01 as failed,
        -- The jobs were created at least a minute ago, so that no job ends in the future.
        day + (i::double precision / per_day) * least(interval '1 day' - interval '1 s', greatest(now() - day - interval '1 min', interval '1 s')) as created_at,
        'person-' || n || '-' || i || '@'
          || case when random() < 0.5 then 'mail.example' else 'd' || floor(power(random(), 3) * 5000) || '.example' end as recipient
      from generate_series(1, per_day) as i
    ) as made;
    raise notice 'filled day % of 30', 30 - n;
  end loop;
  insert into email_events (job_id, event_id, event, delivery, moves, recipient_domain, occurred_at, received_at)
  select id, 'delivered-' || id, 'delivered', 'delivered', true, split_part(recipient, '@', 2), delivery_at, finished_at
  from email_jobs
  where finished_at > now() - interval '1 day' and finished_at < 'infinity' and state = 'sent';
  update email_rollup set rolled_up_to = now() - interval '31 days';
  while email_roll_up() loop end loop;
end $$;
