-- Accounts erased within the last day, for requests that were under way: they found no household any more.
create table registry.erased_account (
  account_id uuid primary key,
  erased_hour timestamptz not null
);
