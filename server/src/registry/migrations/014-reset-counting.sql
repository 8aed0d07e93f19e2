-- Nothing here keeps a query over millions of devices from using several workers.
alter function registry.epoch() parallel safe;
alter function registry.resets_of(uuid) parallel safe;
alter function registry.device_epoch(uuid) parallel safe;
alter function registry.tokens_from(uuid) parallel safe;
alter function registry.code_epoch(uuid) parallel safe;
