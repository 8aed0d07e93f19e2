-- Resets (docs/reset.md): what was asked for, by which operator, and how far it is. It is void for everybody from `void_at` on;
-- what the rooms compare with stands in their own tables, written in the same commit.
create table guard.reset (
  reset_id uuid primary key,
  number bigint generated always as identity,
  scope text not null,
  household_id uuid,
  store text,
  quietly boolean not null,
  operator uuid not null,
  -- preparing: it is being listed whom it reaches. void: in force; what is left of before is being cleared away.
  state text not null check (state in ('preparing', 'void', 'done')),
  begun_at timestamptz not null,
  void_at timestamptz,
  done_at timestamptz,
  removed bigint not null default 0,
  -- Which process works on it, until when: another one goes on after that.
  worker text,
  worker_until timestamptz
);
create index reset_unfinished on guard.reset (number) where state <> 'done';

-- Each process's own connections that it has to close.
create table guard.reset_node (
  reset_id uuid not null references guard.reset,
  node text not null,
  waiting integer not null,
  closed integer not null,
  seen_at timestamptz not null,
  primary key (reset_id, node)
);

-- Every process hears of it at the commit (core/bus.ts).
create function guard.hint_reset() returns trigger language plpgsql as $$
begin
  perform pg_notify('hearthlock_bus', '- guard.reset ' || new.reset_id);
  return null;
end $$;
create trigger hint_reset after insert or update of state on guard.reset
  for each row when (new.state = 'void') execute function guard.hint_reset();
