-- Every process hears at the commit that a key was destroyed or rotated, and reads again which versions there are.
create function keys.hint() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- keys.changed ' || new.id);
  return null;
end $$;
create trigger hint_destroyed after update of wrapped on keys.wrapped_key
  for each row when (new.wrapped is null) execute function keys.hint();
create trigger hint_rotated after insert on keys.wrapped_key
  for each row when (new.version > 1) execute function keys.hint();
