-- Counting and clearing away among millions: sign-ins of before a reset are found among all that have come since, and nothing
-- here keeps a query from using several workers.
create index artifact_grant_epoch on identity.artifact (epoch) where model = 'Grant';
alter function identity.epoch() parallel safe;
alter function identity.resets_of(uuid) parallel safe;
