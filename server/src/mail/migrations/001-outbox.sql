-- Letters that wait to be sent. The whole letter, its addressee and its code included, is sealed to the row, padded to steps
-- of one size; times are to the hour. A letter that was sent or given up leaves no row.
create table mail.outbox (
  letter_id uuid primary key,
  queued_hour timestamptz not null,
  try_hour timestamptz not null,
  sealed bytea not null
);
create index outbox_try on mail.outbox (try_hour);
