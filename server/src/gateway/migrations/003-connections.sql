-- How many attempts to connect there were, by model, firmware, hour and outcome: a log that readers follow by `seq`. It
-- names no device. The one row of `connection_head` puts what several nodes add in order, without gaps.
create table gateway.connection_head (
  one boolean primary key default true check (one),
  seq bigint not null
) with (fillfactor = 10);
insert into gateway.connection_head (seq) values (0);
create table gateway.connection_count (
  seq bigint primary key,
  hour timestamptz not null,
  model text not null,
  firmware text not null,
  outcome text not null,
  count integer not null check (count > 0)
);
-- The software version that a device told last: its attempts are counted under it.
create table gateway.firmware (
  device_id uuid primary key,
  version bigint not null
) with (fillfactor = 70);
