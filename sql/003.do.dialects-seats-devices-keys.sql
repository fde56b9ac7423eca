-- Why: dialects that authenticate no client, a bound on a user's seats, devices that sign, and keys that sign tokens.

alter table password_grant.clients
  add column is_built_in boolean not null default false,
  add constraint clients_built_in_public check (is_public or not is_built_in);
comment on column password_grant.clients.is_built_in is
  'stands for everybody who uses the dialect of its name; disabling it closes the dialect';
insert into password_grant.clients (id, is_public, is_built_in)
values ('webapi-session', true, true), ('envelope', true, true), ('device', true, true);

alter table password_grant.tokens add column signed_in_at timestamptz;
comment on column password_grant.tokens.signed_in_at is
  'issued_at to the microsecond, to tell which seat was taken longest ago; null or older: written by older code';

create function password_grant.make_room(of_user uuid, for_device text, most_seats integer) returns void
language plpgsql as $$
begin
  if (
    select count(*) from password_grant.tokens where user_id = of_user and device <> for_device
  ) < most_seats then
    return;
  end if;
  -- in the order in which everybody locks who ends several tokens
  perform from password_grant.tokens where user_id = of_user order by id for update;
  delete from password_grant.tokens where id in (
    select id from password_grant.tokens
    where user_id = of_user and device <> for_device
    order by (revoked_at is null and expires_at > now()) desc, greatest(signed_in_at, issued_at) desc
    offset most_seats - 1
  );
end
$$;
comment on function password_grant.make_room(uuid, text, integer) is
  'Takes away the seats of a user that one more would be too many for: empty ones first, then the one taken longest ago.
Called under a lock on the user; a function, since it must see what those who held the lock before have written,
which the statement that waited for it does not.';

create table password_grant.devices (
  user_id uuid primary key references password_grant.users on delete cascade,
  device_key text not null constraint devices_key unique check (char_length(device_key) between 1 and 256),
  customer_key bytea not null check (octet_length(customer_key) > 28),
  last_timestamp bigint
) with (fillfactor = 90);
comment on table password_grant.devices is 'users that sign instead of having a password';
comment on column password_grant.devices.customer_key is 'the key it signs with: AES-256-GCM as nonce, tag, ciphertext';
comment on column password_grant.devices.last_timestamp is 'the newest it was let in with; only newer ones are';

create table password_grant.signing_keys (
  id text primary key,
  public_key jsonb not null,
  private_key bytea not null check (octet_length(private_key) > 28),
  longest_lifetime_seconds integer not null default 1 check (longest_lifetime_seconds > 0),
  created_at timestamptz not null default now(),
  replaced_at timestamptz
);
create unique index signing_keys_one_signs on password_grant.signing_keys ((true)) where replaced_at is null;
comment on column password_grant.signing_keys.id is 'the JWK thumbprint (RFC 7638), sent as kid';
comment on column password_grant.signing_keys.private_key is 'PKCS #8: AES-256-GCM as nonce, tag, ciphertext';
comment on column password_grant.signing_keys.longest_lifetime_seconds is
  'of a token signed with it: how long it stays published after it was replaced';

create unlogged table password_grant.attempts (
  key text primary key,
  points integer not null,
  expire bigint
);
comment on table password_grant.attempts is
  'turns used up in the current window, by the keyed hash of whom and where; worth nothing after a minute, hence unlogged';
