-- Sign-ups whose mailed code has not come back: no account yet. The handle that whoever signs up was given, the code and the
-- address are keyed digests; address, name, password hash and exact end are sealed.
create table identity.sign_up (
  handle_digest bytea primary key,
  email_digest bytea not null,
  code_digest bytea not null,
  tries integer not null default 0,
  sealed bytea not null,
  expires_hour timestamptz not null
);
create index sign_up_email on identity.sign_up (email_digest);
create index sign_up_expiry on identity.sign_up (expires_hour);

-- Every account begins with a confirmed address from now on. Of one from before that never confirmed it, nobody knows whose
-- credentials it has: it is opened by a recovery, which goes to the address.
create temporary table unconfirmed on commit drop as
  select account_id from identity.account where kind = 'customer' and not email_verified;
delete from identity.artifact where model = 'Grant' and id_digest in (
  select grant_digest from identity.session join unconfirmed using (account_id));
delete from identity.passkey where account_id in (select account_id from unconfirmed);
delete from identity.second_factor where account_id in (select account_id from unconfirmed);
update identity.account set sealed_password = null where account_id in (select account_id from unconfirmed);
alter table identity.account drop column email_verified;

delete from identity.mailed_code where purpose = 'verify_email';
alter table identity.mailed_code
  drop constraint mailed_code_purpose_check,
  add constraint mailed_code_purpose_check check (purpose in ('change_email', 'recover'));
