-- Why: a refusal takes as long as the dearest stored hash, which an index finds without reading the table.
-- Builds the indexes before the transaction of 008, while servers work. Each step may run again.

create index concurrently if not exists users_hash_cost on password_grant.users
  ((substring(password_hash from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C"));
-- step
create index concurrently if not exists clients_hash_cost on password_grant.clients
  ((substring(secret_hash from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C"));
