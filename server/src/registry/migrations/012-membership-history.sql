-- Who was in which household, or a guest on which device, from which hour to which: also of people who have left. Whom a
-- store's data was about must be told when that store has stood open, months after they left (docs/affected.md). Opaque ids
-- and hours; an erased account's id gives way to one that is nobody's. Kept by triggers: nobody can forget it.
create table registry.membership_history (
  account_id uuid not null,
  household_id uuid not null,
  -- Of a guest: the device's tenure; null for owners and adults, who are there for all of the household's.
  tenure_id uuid,
  from_hour timestamptz not null,
  -- In which hour it ended; null while it holds.
  to_hour timestamptz
);
create unique index membership_history_holds on registry.membership_history (account_id, household_id, tenure_id) nulls not distinct
  where to_hour is null;
create index membership_history_account on registry.membership_history (account_id);
create index membership_history_household on registry.membership_history (household_id);

create function registry.this_hour() returns timestamptz language sql stable
  as $$ select date_trunc('hour', now(), 'UTC') $$;

create function registry.begin_membership(account uuid, household uuid, tenure uuid) returns void language sql as $$
  insert into registry.membership_history (account_id, household_id, tenure_id, from_hour)
  values (account, household, tenure, registry.this_hour()) on conflict do nothing
$$;
create function registry.end_membership(account uuid, household uuid, tenure uuid) returns void language sql as $$
  update registry.membership_history set to_hour = registry.this_hour()
  where account_id = account and household_id = household and tenure_id is not distinct from tenure and to_hour is null
$$;

create function registry.note_member() returns trigger language plpgsql as $$
begin
  if tg_op <> 'INSERT' and old.role <> 'guest' and (tg_op = 'DELETE' or new.role = 'guest') then
    perform registry.end_membership(old.account_id, old.household_id, null);
  end if;
  if tg_op <> 'DELETE' and new.role <> 'guest' then
    perform registry.begin_membership(new.account_id, new.household_id, null);
  end if;
  return null;
end $$;
create trigger note_member after insert or update of role or delete on registry.member
  for each row execute function registry.note_member();

create function registry.note_guest() returns trigger language plpgsql as $$
declare household uuid;
begin
  if tg_op = 'DELETE' then
    if old.grantee = 'guest' then
      select household_id into household from registry.tenure where tenure_id = old.tenure_id;
      perform registry.end_membership(old.account_id, household, old.tenure_id);
    end if;
  elsif new.grantee = 'guest' then
    select household_id into household from registry.tenure where tenure_id = new.tenure_id;
    perform registry.begin_membership(new.account_id, household, new.tenure_id);
  end if;
  return null;
end $$;
create trigger note_guest after insert or delete on registry.access_grant
  for each row execute function registry.note_guest();

-- Those who are there now: since when is not known.
insert into registry.membership_history (account_id, household_id, from_hour)
  select account_id, household_id, '-infinity' from registry.member where role <> 'guest';
insert into registry.membership_history (account_id, household_id, tenure_id, from_hour)
  select distinct g.account_id, t.household_id, g.tenure_id, timestamptz '-infinity'
  from registry.access_grant g join registry.tenure t using (tenure_id) where g.grantee = 'guest';
