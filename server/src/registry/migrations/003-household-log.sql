-- What happened in a household, in its own order, sealed under its key with its time: a copy tells that something did.
alter table registry.household add column log_seq bigint not null default 0;

create table registry.household_log (
  household_id uuid not null references registry.household,
  seq bigint not null,
  sealed bytea not null,
  primary key (household_id, seq)
);
