-- Who can sign in. The password column is Argon2id output with a pepper, sealed on top of that: without the
-- root key a row says that there is an account, of which kind, and nothing else.
create table identity.account (
  account_id uuid primary key,
  kind text not null check (kind in ('customer', 'operator')),
  roles text[] not null default '{}',
  sealed_password bytea not null
);

-- Everything the OpenID provider keeps: tokens, codes, sessions, interactions, grants, seen proofs.
-- Look-up values are keyed digests, the payload is sealed as a whole. Nothing here is a credential.
create table identity.artifact (
  model text not null,
  id_digest bytea not null,
  uid_digest bytea,
  user_code_digest bytea,
  grant_digest bytea,
  sealed bytea not null,
  consumed_at timestamptz,
  expires_at timestamptz not null,
  primary key (model, id_digest)
);
create index artifact_grant on identity.artifact (grant_digest) where grant_digest is not null;
create index artifact_uid on identity.artifact (uid_digest) where uid_digest is not null;
create index artifact_user_code on identity.artifact (user_code_digest) where user_code_digest is not null;
create index artifact_expiry on identity.artifact (expires_at);

-- The provider's signing key, made once.
create table identity.signing_key (
  only_one boolean primary key default true check (only_one),
  sealed bytea not null
);

-- The one-use code by which the first operator enrols.
create table identity.enrolment (
  only_one boolean primary key default true check (only_one),
  code_digest bytea not null,
  expires_at timestamptz not null
);
