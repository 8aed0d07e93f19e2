-- Whether the address was confirmed by a code that was mailed to it. `sign_ins_from`, sealed: a sign-in that began before
-- that moment gives no session any more.
alter table identity.account
  add column email_verified boolean not null default false,
  add column sign_ins_from bytea;

-- Codes that were mailed to people. The code is a keyed digest; its exact end and the address that it went to are sealed.
create table identity.mailed_code (
  account_id uuid not null,
  purpose text not null check (purpose in ('verify_email', 'change_email', 'recover')),
  code_digest bytea not null,
  tries integer not null default 0,
  sealed bytea not null,
  expires_hour timestamptz not null,
  primary key (account_id, purpose, code_digest)
);
create index mailed_code_expiry on identity.mailed_code (expires_hour);

-- A sign-in and its place: goes with its grant, whatever ends that. When, from where and by what is sealed.
create table identity.session (
  grant_model text not null default 'Grant' check (grant_model = 'Grant'),
  grant_digest bytea not null,
  account_id uuid not null,
  sealed bytea not null,
  primary key (grant_model, grant_digest),
  foreign key (grant_model, grant_digest) references identity.artifact (model, id_digest) on delete cascade
);
create index session_account on identity.session (account_id);

-- The last recovery of an account, until it is confirmed, denied or long past.
create table identity.recovery (
  account_id uuid primary key,
  sealed bytea not null,
  expires_hour timestamptz not null
);

-- What a person should know about their own account.
create table identity.notice (
  notice_id uuid primary key,
  account_id uuid not null,
  hour timestamptz not null,
  sealed bytea not null
);
create index notice_account on identity.notice (account_id);

-- Every process hears at the commit that sessions of an account have ended, or that it has a notice (core/bus.ts).
create function identity.hint_session() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- identity.session ' || old.account_id);
  return null;
end $$;
create trigger hint_session after delete on identity.session
  for each row execute function identity.hint_session();

create function identity.hint_notice() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- identity.notice ' || new.account_id);
  return null;
end $$;
create trigger hint_notice after insert on identity.notice
  for each row execute function identity.hint_notice();
