-- Which devices were connected to which node, so that after an unclean stop those that do not return are recorded as
-- offline. Holds no time and no content: ids that the stream shows as well.
create table gateway.session (
  node text not null,
  device_id uuid not null,
  tenure_id uuid not null,
  primary key (node, device_id)
) with (fillfactor = 70);
