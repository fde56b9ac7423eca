-- Why: a change of the operating system's collations puts an index over text out of order, and then names are not found.
-- Compares keys byte by byte. These steps run before the transaction of 006, each by itself, while servers work.
-- Each step may run again.

create unique index concurrently if not exists users_name_key_c on password_grant.users (name_key collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.users_name_key_c') is not null then
    alter table password_grant.users
      drop constraint users_name_key,
      alter column name_key type text collate "C",
      add constraint users_name_key unique using index users_name_key_c;
  end if;
end
$$;
-- step
analyze password_grant.users (name_key);
-- step
create unique index concurrently if not exists tokens_seat_c on password_grant.tokens (user_id, device collate "C");
-- step
create index concurrently if not exists tokens_client_c on password_grant.tokens (client_id collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.tokens_client_c') is not null then
    -- in the order in which a sign-in locks them
    lock table password_grant.clients, password_grant.tokens in access exclusive mode;
    alter table password_grant.clients alter column id type text collate "C";
    drop index password_grant.tokens_client;
    -- a constraint that is not valid yet holds for new rows; "migrate" validates it afterwards, which locks nobody out
    alter table password_grant.tokens
      drop constraint tokens_seat,
      drop constraint tokens_device_check,
      alter column client_id type text collate "C",
      alter column device type text collate "C",
      add constraint tokens_seat unique using index tokens_seat_c,
      add constraint tokens_device_check check (char_length(device) <= 200) not valid;
    alter index password_grant.tokens_client_c rename to tokens_client;
    -- Servers of older versions answer 500 once on each connection whose prepared statements have another type now. They
    -- replace an idle connection that ends by themselves.
    begin
      perform pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'password-grant' and state = 'idle';
    exception when insufficient_privilege then null;
    end;
  end if;
end
$$;
-- step
analyze password_grant.tokens (client_id, device);
-- step
create unique index concurrently if not exists devices_key_c on password_grant.devices (device_key collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.devices_key_c') is not null then
    alter table password_grant.devices
      drop constraint devices_key,
      drop constraint devices_device_key_check,
      alter column device_key type text collate "C",
      add constraint devices_key unique using index devices_key_c,
      add constraint devices_device_key_check check (char_length(device_key) between 1 and 256) not valid;
  end if;
end
$$;
-- step
analyze password_grant.devices (device_key);
-- step
create unique index concurrently if not exists known_networks_pkey_c on password_grant.known_networks (key collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.known_networks_pkey_c') is not null then
    alter table password_grant.known_networks
      drop constraint known_networks_pkey,
      drop constraint known_networks_key_check,
      alter column key type text collate "C",
      add constraint known_networks_pkey primary key using index known_networks_pkey_c,
      add constraint known_networks_key_check check (char_length(key) = 43) not valid;
  end if;
end
$$;
-- step
create unique index concurrently if not exists failures_pkey_c on password_grant.failures (key collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.failures_pkey_c') is not null then
    alter table password_grant.failures
      drop constraint failures_pkey,
      drop constraint failures_key_check,
      alter column key type text collate "C",
      add constraint failures_pkey primary key using index failures_pkey_c,
      add constraint failures_key_check check (char_length(key) = 43) not valid;
  end if;
end
$$;
-- step
create unique index concurrently if not exists guesses_pkey_c on password_grant.guesses (key collate "C");
-- step
do $$
begin
  if to_regclass('password_grant.guesses_pkey_c') is not null then
    alter table password_grant.guesses
      drop constraint guesses_pkey,
      drop constraint guesses_key_check,
      alter column key type text collate "C",
      add constraint guesses_pkey primary key using index guesses_pkey_c,
      add constraint guesses_key_check check (char_length(key) = 43) not valid;
  end if;
end
$$;
