-- A guest's end and hours of the week, sealed under the household's key: a copy does not tell when somebody comes. A
-- guest without them has no access.
alter table registry.member add column terms bytea;

-- What one account may do within one tenure beyond its membership: a guest's devices, and an operator whom the
-- household itself let in. Acts and end are sealed under the tenure's key. All go with the tenure.
create table registry.access_grant (
  grant_id uuid primary key,
  tenure_id uuid not null references registry.tenure,
  account_id uuid not null,
  grantee text not null check (grantee in ('guest', 'operator')),
  terms bytea not null,
  unique (tenure_id, account_id)
);
create index access_grant_account on registry.access_grant (account_id);

-- Accounts that were recovered a short while ago: locks and cameras do not obey them until then.
create table registry.hold (
  account_id uuid primary key,
  until_hour timestamptz not null
);

-- What becomes of the records of a tenure that has ended is its household's choice.
alter table registry.tenure add column history text not null default 'kept' check (history in ('kept', 'destroyed'));
create index tenure_household_ended on registry.tenure (household_id) where ended_hour is not null;
