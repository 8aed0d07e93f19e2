-- One row for each device, whichever node it is connected to; of two at once the later turn holds.
alter table gateway.session drop constraint session_pkey;
alter table gateway.session add primary key (device_id);
create sequence gateway.turn;
alter table gateway.session add column turn bigint not null default 0;
-- Whether the stream says that the device is online in this tenure.
alter table gateway.session add column recorded boolean not null default true;
-- The node that had it before, if it was taken over.
alter table gateway.session add column former text;
create index session_node on gateway.session (node);
