-- One-use codes that bring somebody into a household. Role, guest's times and devices, and the exact end are sealed
-- under the household's key.
create table registry.invitation (
  invitation_id uuid primary key,
  household_id uuid not null references registry.household,
  inviter uuid not null,
  code_digest bytea not null unique,
  terms bytea not null,
  expires_hour timestamptz not null
);
create index invitation_household on registry.invitation (household_id);
create index invitation_inviter on registry.invitation (inviter);

-- One-use codes by which a support operator asks a household for access; the exact end is sealed.
create table registry.support_request (
  request_id uuid primary key,
  operator uuid not null,
  code_digest bytea not null unique,
  terms bytea not null,
  expires_hour timestamptz not null
);
create index support_request_operator on registry.support_request (operator);

-- That an operator used a grant on a day is in the household's log: this tells that it is there already.
create table registry.access_use (
  grant_id uuid not null references registry.access_grant on delete cascade,
  act text not null,
  used_on date not null,
  primary key (grant_id, act, used_on)
);
