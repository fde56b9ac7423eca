-- Why: who may ask (clients), for whom (users), and the one token each seat can hold (tokens).

create table password_grant.compatibility (
  only_row boolean primary key default true check (only_row),
  oldest_code integer not null
);
comment on table password_grant.compatibility is
  'The oldest version of the code that can run on this schema; each migration that breaks older code raises it.';
insert into password_grant.compatibility (oldest_code) values (1);

create table password_grant.clients (
  id text primary key check (id ~ '^[A-Za-z0-9._-]{1,64}$'),
  is_public boolean not null,
  secret_hash text check (secret_hash ~ '^(sha256:[0-9a-f]{64}$|[$]argon2id[$])'),
  previous_secret_hash text check (previous_secret_hash ~ '^(sha256:[0-9a-f]{64}$|[$]argon2id[$])'),
  previous_secret_until timestamptz,
  lifetime_seconds integer check (lifetime_seconds > 0),
  is_enabled boolean not null default true,
  credential_version uuid not null default gen_random_uuid(),
  created_at timestamptz not null default now(),
  constraint clients_secret_unless_public check (is_public = (secret_hash is null)),
  constraint clients_previous_secret_whole check ((previous_secret_hash is null) = (previous_secret_until is null)),
  constraint clients_previous_secret_unless_public check (not is_public or previous_secret_hash is null)
);
comment on column password_grant.clients.secret_hash is
  'sha256 of a secret that carries 256 bits or at least 32 characters, argon2id of a shorter chosen one';
comment on column password_grant.clients.previous_secret_until is 'until when the secret before the last rotation counts';
comment on column password_grant.clients.credential_version is
  'renewed by whatever must end a sign-in under way: disabling, a rotation without overlap; random, see users';
comment on column password_grant.clients.lifetime_seconds is 'lifetime of this client''s tokens; null: the server''s';

create table password_grant.users (
  id uuid primary key,
  name text not null check (char_length(name) between 1 and 256),
  name_key text not null constraint users_name_key unique,
  role text not null default '' check (char_length(role) <= 256),
  password_hash text check (password_hash like '$argon2id$%'),
  credential_version uuid not null default gen_random_uuid(),
  is_enabled boolean not null default true,
  created_at timestamptz not null default now()
) with (fillfactor = 90);
comment on column password_grant.users.name_key is
  'the name folded for look-up by the server itself (NFC, upper, lower, NFC), so that no locale matters';
comment on column password_grant.users.credential_version is
  'renewed by whatever must end a sign-in under way: a new password or role, disabling, revoking; random, so that
a user removed and added again under the same id does not have it';

create table password_grant.tokens (
  id uuid primary key,
  user_id uuid not null references password_grant.users on delete cascade,
  device text not null check (char_length(device) <= 200),
  client_id text not null references password_grant.clients on delete cascade,
  secret_hash bytea not null check (octet_length(secret_hash) = 32),
  replaced_secret_hash bytea check (octet_length(replaced_secret_hash) = 32),
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  revoked_at timestamptz,
  constraint tokens_seat unique (user_id, device),
  constraint tokens_expire_after_issue check (expires_at > issued_at)
) with (fillfactor = 80);
create index tokens_client on password_grant.tokens (client_id);
comment on table password_grant.tokens is
  'A seat (user and device) and the token in it. A sign-in rewrites the row and no indexed column: a HOT update.';
comment on column password_grant.tokens.replaced_secret_hash is 'the value replaced last, to answer "superseded"';
