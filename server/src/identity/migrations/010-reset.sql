-- Resets of sign-ins (docs/reset.md). What was issued in an epoch before a reset that reaches its account counts no more:
-- one row here makes all of it void, however much there is. Rows of this table never change.
create table identity.reset (
  epoch integer primary key check (epoch > 0),
  reset_id uuid not null unique,
  reaches text not null check (reaches in ('everybody', 'customers', 'listed')),
  quietly boolean not null
);

create index reset_reaches on identity.reset (epoch) where reaches <> 'listed';

-- Whom a reset that is `listed` reaches. Written before it, and of no effect without its row above.
create table identity.reset_account (
  reset_id uuid not null,
  account_id uuid not null,
  primary key (account_id, reset_id)
);
create index reset_account_reset on identity.reset_account (reset_id);

create function identity.epoch() returns integer language sql stable
  as $$ select coalesce(max(epoch), 0) from identity.reset $$;

-- The latest reset that reaches the account, and the latest of those after which people sign in anew.
create function identity.resets_of(account uuid, out latest integer, out signed_out integer) language sql stable as $$
  select coalesce(max(epoch), 0), coalesce(max(epoch) filter (where not quietly), 0) from (
    select epoch, quietly from identity.reset where reaches = 'everybody'
    union all
    select epoch, quietly from identity.reset where reaches = 'customers'
      and exists (select from identity.account a where a.account_id = account and a.kind = 'customer')
    union all
    select epoch, quietly from identity.reset_account l join identity.reset r using (reset_id)
      where l.account_id = account and r.reaches = 'listed'
  ) reaching
$$;

-- By default, so that nothing can be issued without it.
alter table identity.artifact add column epoch integer not null default identity.epoch();
alter table identity.one_use add column epoch integer not null default identity.epoch();
alter table identity.sign_up add column epoch integer not null default identity.epoch();
alter table identity.mailed_code add column epoch integer not null default identity.epoch();

-- Every process hears of it at the commit (core/bus.ts).
create function identity.hint_reset() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- identity.reset ' || new.epoch);
  return null;
end $$;
create trigger hint_reset after insert on identity.reset
  for each row execute function identity.hint_reset();

-- What is removed after a reset was void before: to tell of each would say nothing new, millions of times.
create or replace function identity.hint_session() returns trigger language plpgsql as $$
begin
  if current_setting('hearthlock.after_reset', true) = 'on' then
    return null;
  end if;
  perform pg_notify('hearthlock_bus', '- identity.session ' || old.account_id);
  return null;
end $$;
