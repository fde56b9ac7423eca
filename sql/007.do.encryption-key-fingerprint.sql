-- Why: servers of one database that have different keys count guesses apart; a fingerprint tells them at start.

create table password_grant.encryption_key (
  only_row boolean primary key default true check (only_row),
  fingerprint text collate "C" check (char_length(fingerprint) = 43)
);
comment on table password_grant.encryption_key is
  'the ENCRYPTION_KEY that the servers of this database have; an empty table: no server has started yet';
comment on column password_grant.encryption_key.fingerprint is
  'a keyed hash that tells nothing about the key; null: the servers have none';
