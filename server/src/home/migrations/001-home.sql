-- The one row whose lock puts timeline rows in order: whoever moves it forward inserts that many rows in the same
-- transaction, so that an older page never gains a row after it was read.
create table home.head (
  single boolean primary key default true check (single),
  seq bigint not null
) with (fillfactor = 10);
insert into home.head (seq) values (0);

-- What happened in a tenure. `sealed` is the stream's own sealed record (kinds 1 to 4), bound to record_id, tenure,
-- device and kind, or for kind 5 what the server knows of a command. What stays readable: that something of a kind
-- happened in a tenure, its size, and the order.
create table home.timeline (
  tenure_id uuid not null,
  seq bigint not null,
  record_id uuid not null,
  kind smallint not null check (kind between 1 and 5), -- 1 attributes, 2 events, 3 results, 4 availability, 5 command
  sealed bytea not null,
  primary key (tenure_id, seq)
);
-- Sealed bytes do not compress: do not try.
alter table home.timeline alter column sealed set storage external;

-- The last record that names a slot (an attribute, without telling which). `seq` is the stream's.
create table home.state (
  tenure_id uuid not null,
  slot bytea not null check (octet_length(slot) = 16),
  seq bigint not null,
  record_id uuid not null,
  kind smallint not null check (kind in (1, 4)),
  sealed bytea not null,
  primary key (tenure_id, slot)
) with (fillfactor = 50);
alter table home.state alter column sealed set storage external;

-- Name, arguments, outcome and times are inside the seals. `due_ms`, when it expires, stands in the clear only as long
-- as the command is open.
create table home.command (
  command_id uuid primary key,
  seq bigint not null unique,
  tenure_id uuid not null,
  device_id uuid not null,
  key_id uuid not null,
  account_id uuid not null,
  state text not null check (state in ('queued', 'delivered', 'succeeded', 'failed', 'expired')),
  due_ms bigint check ((due_ms is not null) = (state in ('queued', 'delivered'))),
  idempotency_key bytea unique,
  request_digest bytea not null,
  request bytea not null,
  delivery bytea,
  outcome bytea check ((outcome is null) or state in ('succeeded', 'failed', 'expired'))
);
create index command_open on home.command (tenure_id, seq) where due_ms is not null;
create index command_due on home.command (due_ms) where due_ms is not null;
