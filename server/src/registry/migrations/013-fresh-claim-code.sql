alter table registry.device
  -- The code that opens a claim is no longer the label's: the device made it at its last physical reset. From then on only
  -- a reset that brings another one opens a claim.
  add column claim_code_fresh boolean not null default false;
