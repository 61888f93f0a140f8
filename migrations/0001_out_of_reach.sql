-- Operators may point DATABASE_URL at a Supabase project, whose REST interface serves schema `public` to
-- anybody who holds the public key, and whose default privileges grant each new object to `anon` and
-- `authenticated`. So everything that this project makes is revoked from them again, at once, by these two.

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
  -- The owner passes row level security; everybody else finds no policy and so no row.
  if kind in ('r', 'p') then
    execute format('alter table %s enable row level security', relation);
  end if;
end $$;
comment on function outbox_out_of_reach(regclass) is
  'Revokes a table, partition, view or sequence from public, anon and authenticated, and turns row level security on.';

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
  'Revokes a function from public, anon and authenticated.';

select outbox_out_of_reach('outbox_out_of_reach(regclass)'::regprocedure);
select outbox_out_of_reach('outbox_out_of_reach(regprocedure)'::regprocedure);
-- The migrations' own ledger, which stands before the first of them runs.
select outbox_out_of_reach('_sqlx_migrations'::regclass);
