-- What workers know about Supabase's redirect allow list. A generate_link whose redirect the list lacks has already
-- replaced the person's earlier link, so a worker asks before the first link to a callback; the answers are kept here for
-- all workers.

create table redirect_checks (
  origin_and_path text        primary key,
  is_allowed      boolean     not null,
  checked_at      timestamptz not null default clock_timestamp(),

  -- Postgres indexes no text that is much longer.
  constraint origin_and_path_is_short check (octet_length(origin_and_path) <= 2048)
);
comment on table redirect_checks is
  'One row per callback that a worker recently checked against Supabase''s redirect allow list. At most 10,000 rows; a '
  'valid row is never deleted to make room. Workers delete rows that are no longer valid. Deleting rows is always safe: '
  'the next job has its callback checked again.';
comment on column redirect_checks.origin_and_path is
  'Origin and path of the callback, for example https://portal.example.com/auth/callback. Without the query: nothing '
  'here tells who asked, or for which page.';
comment on column redirect_checks.is_allowed is
  'True if Supabase accepted the callback without a query and with both test values of ?next=. Such a row is valid for an '
  'hour. False if it refused one of the three: then workers check each job''s own callback URL. Such a row is valid for a '
  'minute, because an operator who adds the missing entry waits for it.';
comment on column redirect_checks.checked_at is 'When a worker last checked the callback.';

select outbox_out_of_reach('redirect_checks'::regclass);
