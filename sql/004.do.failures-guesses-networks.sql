-- Why: failed attempts are counted for all servers, networks from which a user signed in are told from strangers',
-- and a client may be trusted to say whom it asks for.

alter table password_grant.clients
  add column is_trusted boolean not null default false,
  add constraint clients_trusted_proves_itself check (not (is_trusted and is_public));
comment on column password_grant.clients.is_trusted is
  'everyone comes through it, so that it says whose address counts: the one before its own in X-Forwarded-For';

create table password_grant.network_key (
  only_row boolean primary key default true check (only_row),
  key text not null check (char_length(key) >= 96)
);
comment on table password_grant.network_key is
  'what networks are hashed with where there is no ENCRYPTION_KEY; whoever has it and the hashes can try all networks';
insert into password_grant.network_key (key) values (concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()));

create table password_grant.failures (
  key text primary key check (char_length(key) = 43),
  count integer not null check (count > 0),
  failed_at timestamptz not null,
  wait_until timestamptz check (wait_until >= failed_at)
) with (fillfactor = 80);
comment on table password_grant.failures is
  'failed attempts at a user or a client from one network, by the keyed hash of both; worth nothing after a while';
comment on column password_grant.failures.wait_until is 'until then nothing is looked at; null while attempts are free';

create table password_grant.guesses (
  key text primary key check (char_length(key) = 43),
  guessed_at timestamptz[] not null
) with (fillfactor = 80);
comment on table password_grant.guesses is
  'when guesses at a user were looked at: those of all strangers together, by the keyed hash of the user''s name; those
from a network the user is known from by themselves, by the keyed hash of both';

create table password_grant.known_networks (
  key text primary key check (char_length(key) = 43),
  user_id uuid not null references password_grant.users on delete cascade,
  signed_in_at timestamptz not null
);
create index known_networks_user on password_grant.known_networks (user_id);
comment on table password_grant.known_networks is
  'from where a user signed in lately, as a keyed hash of the name and the network, so that nobody can lock the user out there';

create function password_grant.wait_after(failures integer, free integer, longest_seconds integer) returns interval
language sql immutable as $$
  select case when failures >= free
    then make_interval(secs => least(longest_seconds, power(2, least(failures - free, 30)))) end
$$;
comment on function password_grant.wait_after(integer, integer, integer) is
  'after the last free failure 1 second, after each more twice that; null before';
