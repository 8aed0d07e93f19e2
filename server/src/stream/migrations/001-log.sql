-- The one row whose lock puts batches in order, over all processes: whoever moves it forward inserts that many records
-- in the same transaction, so that seq has no gap and follows the order of commits.
create table stream.head (
  one boolean primary key default true check (one),
  seq bigint not null
) with (fillfactor = 10);
insert into stream.head (seq) values (0);

-- Content, exact time and the names of attributes are inside the seal. What stays readable: which device in which
-- tenure sent a record of which kind, how large it is, in which hour, and under which equal slots.
create table stream.record (
  seq bigint primary key,
  record_id uuid not null,
  kind smallint not null check (kind between 1 and 4), -- 1 attributes, 2 events, 3 results, 4 availability
  device_id uuid not null,
  tenure_id uuid not null,
  received_hour timestamptz not null,
  slots bytea not null check (octet_length(slots) % 16 = 0), -- 16 bytes each, one after the other
  message_key bytea check (octet_length(message_key) = 16),
  sealed bytea not null
);
-- Sealed bytes do not compress: do not try.
alter table stream.record alter column sealed set storage external;
alter table stream.record alter column slots set storage external;
-- For recognising resends; partial, because most records carry no key and the index is dear where tenures interleave.
create index record_message_key on stream.record (tenure_id, seq) where message_key is not null;

-- How far each reader has come. Its row lock keeps two processes with the same reader from both applying.
create table stream.cursor (
  name text primary key,
  seq bigint not null
) with (fillfactor = 10);
