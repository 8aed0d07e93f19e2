-- The installation's device authority: one row, its private key sealed.
create table registry.authority (
  singleton boolean primary key default true check (singleton),
  certificate_pem text not null,
  private_key bytea not null
);

-- The TLS server certificate of the device listener, its private key sealed.
create table registry.server_identity (
  singleton boolean primary key default true check (singleton),
  hostnames text[] not null,
  certificate_pem text not null,
  private_key bytea not null,
  not_after timestamptz not null
);

create table registry.model (
  model_id uuid primary key,
  name text not null unique,
  definition jsonb not null
);

-- What we keep of a device's credentials: a public key and keyed digests.
create table registry.device (
  device_id uuid primary key,
  model_id uuid not null references registry.model,
  public_key bytea not null unique,
  claim_code_digest bytea not null unique,
  password_digest bytea,
  made_on date not null,
  disabled boolean not null default false
);
create index device_model on registry.device (model_id);

create table registry.household (
  household_id uuid primary key,
  key_id uuid not null,
  name bytea not null
);

create table registry.member (
  household_id uuid not null references registry.household,
  account_id uuid not null,
  role text not null check (role in ('owner', 'adult', 'guest')),
  primary key (household_id, account_id)
);
create index member_account on registry.member (account_id);

-- One row for each time that a household held a device. Times to the hour: a copy tells no habits.
create table registry.tenure (
  tenure_id uuid primary key,
  device_id uuid not null references registry.device,
  household_id uuid not null references registry.household,
  key_id uuid not null,
  nickname bytea,
  started_hour timestamptz not null,
  ended_hour timestamptz
);
-- One household at a time, whatever the code above believes.
create unique index tenure_current on registry.tenure (device_id) where ended_hour is null;
create index tenure_household on registry.tenure (household_id) where ended_hour is null;
