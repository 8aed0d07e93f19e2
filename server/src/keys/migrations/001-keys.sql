-- One row for each root key version that this database has been used with. The check value is a keyed digest of a
-- constant: it tells whether a root key is the right one, and nothing about it.
create table keys.installation (
  root_version integer primary key check (root_version between 1 and 65535),
  check_value bytea not null check (octet_length(check_value) = 32),
  created_hour timestamptz not null
);

-- Random keys, stored only wrapped: by the root key's wrapping key (root_version set), or by another key of this
-- table (wrapped_by set). A destroyed key keeps its row, without bytes, so that its id can never be taken again.
create table keys.wrapped_key (
  id uuid not null,
  version integer not null check (version between 1 and 65535),
  kind text not null check (kind in ('household', 'tenure', 'account')),
  subject text not null,
  wrapped_by uuid,
  root_version integer,
  wrapped bytea,
  created_hour timestamptz not null,
  destroyed_hour timestamptz,
  primary key (id, version),
  check ((wrapped_by is null) = (root_version is not null)),
  check ((wrapped is null) = (destroyed_hour is not null))
);

create index on keys.wrapped_key (wrapped_by) where wrapped_by is not null;
create index on keys.wrapped_key (root_version, id, version) where wrapped_by is null;
