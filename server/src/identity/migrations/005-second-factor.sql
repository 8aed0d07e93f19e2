-- The second factor beside a password (RFC 6238). The secret, the last code's time, what was tried and the digests of the
-- recovery codes are sealed together.
create table identity.second_factor (
  account_id uuid primary key references identity.account on delete cascade,
  sealed bytea not null
);
