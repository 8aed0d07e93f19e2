-- How and when a tenure ended, sealed under the household's key: it outlives the tenure's own.
alter table registry.tenure add column ending bytea;

alter table registry.device
  -- Its claim code has been in somebody's hands: another claim needs a physical reset.
  add column held_before boolean not null default false,
  -- Sealed: when it last said that it was reset. Taken away by whatever starts or ends a tenure otherwise.
  add column reset bytea,
  -- The key that it connects with from its next connection on; the present one holds until then.
  add column next_public_key bytea unique,
  add column rotation_due boolean not null default false;
update registry.device set held_before = true
  where exists (select from registry.tenure where tenure.device_id = device.device_id);

-- The last resets of a device, by digest of the id that it gave each: one that it sends again ends nothing again.
create table registry.device_reset (
  device_id uuid not null references registry.device,
  message_digest bytea not null,
  number bigint generated always as identity,
  primary key (device_id, message_digest)
);

-- The one open offer of a device to another household. The code is a keyed digest; end, offering member and what becomes
-- of the history are sealed under the tenure's key. It goes with the tenure.
create table registry.transfer_offer (
  tenure_id uuid primary key references registry.tenure,
  code_digest bytea not null unique,
  terms bytea not null
);
