-- What all workers know together about the two services that they call.

create table upstreams (
  name          text primary key,
  open_since    timestamptz,
  code          text,
  message       text,
  setting       text,
  probe_at      timestamptz,
  probes        integer not null default 0,
  paused_until  timestamptz,

  constraint name_is_known check (name in ('supabase', 'mailgun')),
  constraint an_open_breaker_says_why check (
    (open_since is null) = (code is null) and (open_since is null) = (message is null)
    and (open_since is null) = (setting is null) and (open_since is null) = (probe_at is null))
);
comment on table upstreams is 'One row per service that workers call: its breaker and its pause, shared by all workers.';
comment on column upstreams.name is 'supabase or mailgun.';
comment on column upstreams.open_since is 'Set while the breaker is open: no job can succeed until an operator changes something, so none is claimed but the probe.';
comment on column upstreams.code is 'Why the breaker is open, machine-readable.';
comment on column upstreams.message is 'Why, and what to do, for people.';
comment on column upstreams.setting is 'The setting to look at.';
comment on column upstreams.probe_at is 'When one job is let through next, to see whether the fault is gone.';
comment on column upstreams.probes is 'Probes made since the breaker opened.';
comment on column upstreams.paused_until is 'The service asked for patience (429): nothing is claimed or sent before this time.';

insert into upstreams (name) values ('supabase'), ('mailgun');

select outbox_out_of_reach('upstreams'::regclass);
