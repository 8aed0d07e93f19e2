-- Codes by which operators come in are kept with everything else of one use.
drop table identity.enrolment;
