-- Whose data was in a store between two moments (docs/affected.md). Which store, when, which fields: sealed. Who, by opaque id.
create table guard.affected (
  affected_id uuid primary key,
  number bigint generated always as identity,
  sealed bytea not null
);
create table guard.affected_person (
  affected_id uuid not null references guard.affected,
  account_id uuid not null,
  tenures integer not null,
  -- A bit for each of the list's fields.
  fields bit varying not null,
  primary key (affected_id, account_id)
);
create index affected_person_account on guard.affected_person (account_id);

-- Letters to them.
create table guard.notice (
  notice_id uuid primary key,
  affected_id uuid not null references guard.affected,
  state text not null check (state in ('draft', 'sending', 'sent')),
  number bigint generated always as identity,
  sealed bytea not null
);
create index notice_sending on guard.notice (number) where state = 'sending';
-- Who has been written to about a list: once, whichever notice it was. `gone`: erased before.
create table guard.notice_letter (
  affected_id uuid not null,
  account_id uuid not null,
  notice_id uuid not null references guard.notice,
  outcome text not null check (outcome in ('written', 'gone')),
  primary key (affected_id, account_id),
  foreign key (affected_id, account_id) references guard.affected_person on update cascade
);
create index notice_letter_notice on guard.notice_letter (notice_id, outcome);
