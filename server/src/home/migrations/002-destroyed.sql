-- Tenures whose history was destroyed, kept for some days: records that were under way then are applied later, and what
-- they leave is taken away. Their key is gone, so that they open nowhere.
create table home.destroyed_tenure (
  tenure_id uuid primary key,
  destroyed_hour timestamptz not null
);
