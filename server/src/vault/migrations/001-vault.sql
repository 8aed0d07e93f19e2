-- People's personal data. Sealed columns all have one length, and the look-up value is a keyed digest: nothing here
-- can be compared with a list of addresses.
create table vault.person (
  account_id uuid primary key,
  kind text not null check (kind in ('customer', 'operator')),
  key_id uuid not null,
  email_index bytea not null check (octet_length(email_index) = 32),
  email bytea not null,
  name bytea not null,
  created_hour timestamptz not null,
  unique (kind, email_index)
);
