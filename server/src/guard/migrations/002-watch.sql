-- What is watched beyond what the running system knows of itself: addresses that operators declared, sealed as a whole.
create table guard.store (
  store_id uuid primary key,
  address_digest bytea not null unique,
  sealed bytea not null
);

-- How each store last answered a stranger; sealed, for it has the address.
create table guard.verdict (
  store_key text primary key,
  sealed bytea not null
);

-- Which process looks, until when, and when last all stores had been looked at.
create table guard.watch (
  singleton boolean primary key default true check (singleton),
  holder uuid,
  until timestamptz,
  round_at timestamptz
);
insert into guard.watch default values;

-- One that is not closed for each store and kind. What was seen, when, and who did what about it is sealed.
create table guard.finding (
  finding_id bigint primary key generated always as identity,
  store_key text not null,
  kind text not null,
  state text not null check (state in ('open', 'shut', 'closed')),
  sealed bytea not null,
  -- When somebody is to be paged again, by each way; none when somebody has taken it.
  webhook_due timestamptz,
  mail_due timestamptz
);
create unique index finding_one on guard.finding (store_key, kind) where state <> 'closed';
create index finding_due on guard.finding (finding_id) where webhook_due is not null or mail_due is not null;

-- Calls of the webhook that wait to be answered.
create table guard.webhook (
  call_id uuid primary key,
  due timestamptz not null,
  attempts int not null default 0,
  sealed bytea not null
);
create index webhook_due on guard.webhook (due);
