-- Every process hears of changes to tenures and access at their commit, whoever made them and however. The payload is
-- one opaque id; what holds now is read by who hears it. `-` stands for the sender (core/bus.ts).
create function registry.hint(topic text, id uuid) returns void language sql
  as $$ select pg_notify('hearthlock_bus', '- ' || topic || ' ' || id) $$;

create function registry.hint_tenure() returns trigger language plpgsql as $$
begin
  perform registry.hint('registry.tenure', new.device_id);
  return null;
end $$;
create trigger hint_start after insert on registry.tenure
  for each row execute function registry.hint_tenure();
create trigger hint_end after update of ended_hour on registry.tenure
  for each row execute function registry.hint_tenure();

create function registry.hint_member() returns trigger language plpgsql as $$
begin
  perform registry.hint('registry.access', coalesce(new.household_id, old.household_id));
  return null;
end $$;
create trigger hint_member after insert or update or delete on registry.member
  for each row execute function registry.hint_member();

create function registry.hint_access_grant() returns trigger language plpgsql as $$
begin
  perform registry.hint('registry.access', household_id) from registry.tenure
    where tenure_id = coalesce(new.tenure_id, old.tenure_id);
  return null;
end $$;
create trigger hint_access_grant after insert or update or delete on registry.access_grant
  for each row execute function registry.hint_access_grant();

create function registry.hint_hold() returns trigger language plpgsql as $$
begin
  perform registry.hint('registry.access', household_id) from registry.member
    where account_id = coalesce(new.account_id, old.account_id);
  return null;
end $$;
create trigger hint_hold after insert or update or delete on registry.hold
  for each row execute function registry.hint_hold();
