-- Postgres refuses updates and deletes of a table in a publication unless the table has a primary key or a replica identity,
-- and `create publication … for all tables` takes all of ours in. These two tables have one row each and no key.

alter table email_reconciler replica identity full;
alter table email_rollup replica identity full;
