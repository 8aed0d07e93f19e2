-- A device that must be released, and a household that does not: an operator's way, with a waiting time. All that it
-- says, how it stands included, is sealed under the household's key.
create table registry.dispute (
  dispute_id uuid primary key,
  number bigint generated always as identity,
  tenure_id uuid not null references registry.tenure,
  open boolean not null default true,
  content bytea not null
);
create unique index dispute_open on registry.dispute (tenure_id) where open;
create index dispute_number on registry.dispute (number);
