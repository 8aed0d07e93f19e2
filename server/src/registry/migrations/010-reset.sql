-- Resets of devices and of households' codes (docs/reset.md): what was proved or issued in an epoch before a reset that
-- reaches it counts no more. Rows of this table never change. `tokens_from`: a token that a device says it signed earlier
-- is refused.
create table registry.reset (
  epoch integer primary key check (epoch > 0),
  reset_id uuid not null unique,
  devices boolean not null,
  codes boolean not null,
  listed boolean not null,
  tokens_from timestamptz not null
);
create index reset_everywhere on registry.reset (epoch) where not listed;

-- Which households a reset that is `listed` reaches. Written before it, and of no effect without its row above.
create table registry.reset_household (
  reset_id uuid not null,
  household_id uuid not null,
  primary key (household_id, reset_id)
);
create index reset_household_reset on registry.reset_household (reset_id);

create function registry.epoch() returns integer language sql stable
  as $$ select coalesce(max(epoch), 0) from registry.reset $$;

-- All that reach what is this household's, or nobody's.
create function registry.resets_of(household uuid) returns setof registry.reset language sql stable as $$
  select r.* from registry.reset r where not listed
  union all
  select r.* from registry.reset_household l join registry.reset r using (reset_id)
    where l.household_id = household and r.listed
$$;
create function registry.device_epoch(household uuid) returns integer language sql stable
  as $$ select coalesce(max(epoch), 0) from registry.resets_of(household) where devices $$;
create function registry.tokens_from(household uuid) returns timestamptz language sql stable
  as $$ select max(tokens_from) from registry.resets_of(household) where devices $$;
create function registry.code_epoch(household uuid) returns integer language sql stable
  as $$ select coalesce(max(epoch), 0) from registry.resets_of(household) where codes $$;

-- By default, so that nothing can be issued without it.
alter table registry.invitation add column epoch integer not null default registry.epoch();
alter table registry.support_request add column epoch integer not null default registry.epoch();
alter table registry.transfer_offer add column epoch integer not null default registry.epoch();
-- The reset for which its key was last asked to be replaced: each device is asked when it comes, not millions at once.
alter table registry.device add column rotation_epoch integer not null default registry.epoch();

-- Every process hears of it at the commit (core/bus.ts).
create function registry.hint_reset() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- registry.reset ' || new.epoch);
  return null;
end $$;
create trigger hint_reset after insert on registry.reset
  for each row execute function registry.hint_reset();
