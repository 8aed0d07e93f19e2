-- The audit log. What was done, by whom and to what is sealed as a whole, in steps of one length; each entry's MAC covers its
-- number, its seal and the MAC before it, under a key that is not here. The head says which entry is the last one.
create table guard.audit (
  seq bigint primary key,
  hour timestamptz not null,
  sealed bytea not null,
  mac bytea not null
);

create table guard.audit_head (
  singleton boolean primary key default true check (singleton),
  seq bigint not null,
  mac bytea not null
);
insert into guard.audit_head (seq, mac) values (0, decode(repeat('00', 32), 'hex'));

-- Against accidents. Who may drop a trigger is found out by the MACs, and by the anchor outside of the database.
create function guard.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the audit log is append-only';
end $$;
create trigger audit_append_only before update or delete on guard.audit
  for each row execute function guard.refuse_change();
create trigger audit_no_truncate before truncate on guard.audit
  for each statement execute function guard.refuse_change();
create trigger audit_head_stays before delete or truncate on guard.audit_head
  for each statement execute function guard.refuse_change();
create function guard.refuse_step_back() returns trigger language plpgsql as $$
begin
  if new.seq <> old.seq + 1 then
    raise exception 'the audit log is append-only';
  end if;
  return new;
end $$;
create trigger audit_head_forward before update on guard.audit_head
  for each row execute function guard.refuse_step_back();
