-- Whoever has a passkey needs no password.
alter table identity.account alter column sealed_password drop not null;

-- Passkeys. The credential's id is found by a keyed digest; its public key, its name, its counter and its times are sealed.
create table identity.passkey (
  passkey_id uuid primary key,
  account_id uuid not null references identity.account on delete cascade,
  credential_digest bytea not null unique,
  sealed bytea not null
);
create index passkey_account on identity.passkey (account_id);

-- What may be used once, soon, by whoever holds the other half: challenges, links, codes. Names are keyed digests,
-- the rest is sealed; `expires_at` is the next full hour, the exact end is sealed too.
create table identity.one_use (
  kind text not null,
  name_digest bytea not null,
  sealed bytea not null,
  expires_at timestamptz not null,
  primary key (kind, name_digest)
);
create index one_use_expiry on identity.one_use (expires_at);
