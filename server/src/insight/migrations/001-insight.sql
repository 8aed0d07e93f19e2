-- Copies for analysts. `terms` (purpose, owner, fields, destination and its credential, exact times) are sealed.
-- `seq` and `connection_seq`: how far the destination is known to hold. `pending_*`: what may be on its way; the ledger
-- names whose that is, and was written first.
create table insight.copy (
  copy_id uuid primary key,
  name text not null check (name ~ '^[a-z][a-z0-9-]{1,39}$'),
  key_id uuid not null,
  state text not null check (state in ('filling', 'paused', 'cut', 'burning', 'burned')),
  terms bytea not null,
  expires_hour timestamptz not null,
  seq bigint not null,
  connection_seq bigint not null,
  batch bigint not null default 0,
  pending_seq bigint,
  pending_connection_seq bigint,
  -- A code, never a text.
  problem text check (problem ~ '^[a-z_]{1,40}$'),
  check ((pending_seq is null) = (pending_connection_seq is null))
) with (fillfactor = 50);
create unique index copy_name on insight.copy (name) where state <> 'burned';

-- What filling must remember of a tenure between batches: gone with the copy. `ref` is a keyed digest of the copy's own.
create table insight.copy_tenure (
  copy_id uuid not null,
  ref bytea not null check (octet_length(ref) = 16),
  sealed bytea not null,
  primary key (copy_id, ref)
) with (fillfactor = 70);

-- Whose data went into which copy, with which fields, in which hour; sealed as a whole under the root key, and kept
-- when the copy is gone. Written before the bytes leave: a batch that is not settled may have arrived.
create table insight.ledger (
  copy_id uuid not null,
  batch bigint not null,
  -- Between these two hours it left; while it is not settled, at any time from the first on.
  hour timestamptz not null,
  settled_hour timestamptz,
  sealed bytea not null,
  primary key (copy_id, batch)
);
alter table insight.ledger alter column sealed set storage external;

-- Every process hears that a copy changed, at the commit.
create function insight.hint() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- insight.copy ' || new.copy_id);
  return null;
end $$;
create trigger hint_copy after insert or update of state on insight.copy
  for each row execute function insight.hint();
