-- The pseudonym key of a copy for analysts: destroying it retires the copy for ever.
alter table keys.wrapped_key drop constraint wrapped_key_kind_check;
alter table keys.wrapped_key add constraint wrapped_key_kind_check
  check (kind in ('household', 'tenure', 'account', 'copy'));
