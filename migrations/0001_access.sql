-- Access control: functions that revoke an object from the public roles, and that make a function run as its owner.
--
-- DATABASE_URL may name the database of a Supabase project. Its REST API serves schema `public` to anyone who has the
-- project's public key, and its default privileges grant every new object to `anon` and `authenticated`. So each
-- migration calls one of these functions for every object that it creates, in the same transaction.

create function outbox_out_of_reach(relation regclass) returns void
language plpgsql as $$
declare
  kind "char" := (select relkind from pg_class where oid = relation);
  stranger text;
begin
  for stranger in
    select 'public'
    union all
    select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on %s %s from %s', case kind when 'S' then 'sequence' else 'table' end, relation, stranger);
  end loop;
  -- Row level security does not apply to the owner. Other roles see no rows until a policy allows it.
  if kind in ('r', 'p') then
    execute format('alter table %s enable row level security', relation);
  end if;
end $$;
comment on function outbox_out_of_reach(regclass) is
  'Revokes all privileges on a table, partition, view or sequence from public, anon and authenticated, and enables row '
  'level security if it is a table or partition. Call it for every new relation.';

create function outbox_out_of_reach(routine regprocedure) returns void
language plpgsql as $$
declare
  stranger text;
begin
  for stranger in
    select 'public'
    union all
    select quote_ident(rolname) from pg_roles where rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on function %s from %s', routine, stranger);
  end loop;
end $$;
comment on function outbox_out_of_reach(regprocedure) is
  'Revokes all privileges on a function from public, anon and authenticated. Call it for every new function.';

-- The api's role need not be able to read or write rows: the api calls functions that run as the tables' owner.
create function outbox_runs_as_owner(routine regprocedure) returns void
language plpgsql as $$
begin
  -- A caller's search_path or temporary tables must not replace our objects.
  execute format('alter function %s security definer set search_path = %I, pg_temp', routine, current_schema());
  perform outbox_out_of_reach(routine);
end $$;
comment on function outbox_runs_as_owner is
  'Makes a function run with the rights of its owner (security definer), fixes its search_path to the current schema, '
  'and revokes it from public, anon and authenticated.';

select outbox_out_of_reach('outbox_out_of_reach(regclass)'::regprocedure);
select outbox_out_of_reach('outbox_out_of_reach(regprocedure)'::regprocedure);
select outbox_out_of_reach('outbox_runs_as_owner'::regproc::regprocedure);
-- sqlx creates its table of applied migrations before it runs the first one.
select outbox_out_of_reach('_sqlx_migrations'::regclass);
