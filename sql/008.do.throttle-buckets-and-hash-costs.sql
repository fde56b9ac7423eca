-- Why: one source must not spend the guesses of all strangers, one network must not try every name, a user's known networks
-- stay few, and a refusal takes as long as the dearest stored hash, which an index finds without reading the table.

create table if not exists password_grant.network_names (
  key text collate "C" primary key check (char_length(key) = 43),
  names text[] not null,
  failed_at timestamptz[] not null check (cardinality(failed_at) = cardinality(names))
) with (fillfactor = 80);
comment on table password_grant.network_names is
  'the names at which attempts from a network failed lately, by keyed hashes, each with its latest failure, in that order';

-- Inlined, which a function with a search path is not: its names and operators are written with a schema.
create or replace function password_grant.find_throttle_state(
  pair text, buckets text[], limits integer[], network text, names_limit integer, moment timestamptz,
  forget_seconds double precision, known_days integer, window_seconds double precision
)
returns table (has_failed boolean, is_known boolean, is_fresh boolean, wait_seconds double precision)
language sql stable rows 1 as $$
  select
    f.key is not null,
    n.is_known,
    n.is_known and n.signed_in_at operator(pg_catalog.>) (moment operator(pg_catalog.-) interval '1 hour'),
    greatest(
      0,
      extract(epoch from f.wait_until operator(pg_catalog.-) moment),
      (
        select pg_catalog.max(extract(epoch from (
          g.guessed_at[pg_catalog.cardinality(g.guessed_at) operator(pg_catalog.-) b.allowed operator(pg_catalog.+) 1]
            operator(pg_catalog.+) pg_catalog.make_interval(secs => window_seconds)
        ) operator(pg_catalog.-) moment))
        from rows from (
          pg_catalog.unnest(case when n.is_known then array[pair] else buckets end), pg_catalog.unnest(limits)
        ) b (key, allowed)
        join password_grant.guesses g on g.key operator(pg_catalog.=) b.key
        where pg_catalog.cardinality(g.guessed_at) operator(pg_catalog.>=) b.allowed
      ),
      (
        select extract(epoch from (
          w.failed_at[pg_catalog.cardinality(w.failed_at) operator(pg_catalog.-) names_limit operator(pg_catalog.+) 1]
            operator(pg_catalog.+) pg_catalog.make_interval(secs => window_seconds)
        ) operator(pg_catalog.-) moment)
        from password_grant.network_names w
        where not n.is_known
          and w.key operator(pg_catalog.=) network
          and pg_catalog.cardinality(w.failed_at) operator(pg_catalog.>=) names_limit
      )
    )::double precision
  from (
    select k.signed_in_at, coalesce(
      k.signed_in_at operator(pg_catalog.>) (
        moment operator(pg_catalog.-) pg_catalog.make_interval(days => known_days)
      ),
      false
    ) as is_known
    from (select) always
    left join password_grant.known_networks k on k.key operator(pg_catalog.=) pair
  ) n
  left join password_grant.failures f
    on f.key operator(pg_catalog.=) pair and (
      f.failed_at operator(pg_catalog.>) (
        moment operator(pg_catalog.-) pg_catalog.make_interval(secs => forget_seconds)
      )
      or f.wait_until operator(pg_catalog.>) moment
    )
$$;
comment on function password_grant.find_throttle_state(
  text, text[], integer[], text, integer, timestamptz, double precision, integer, double precision
) is
  'The throttle''s state for a user and a network: whether an attempt failed lately, whether the user signed in from there
lately or within the hour, and how many seconds the next attempt has to wait. Each bucket allows its limit of guesses in
the window; a known network has one bucket of its own, the pair, with the first limit. A network may fail at names_limit
names in the window.';

create or replace function password_grant.settle_sign_in(
  pair text, buckets text[], limits integer[], network text, names_limit integer, of_user uuid,
  forget_seconds double precision, known_days integer, window_seconds double precision, max_networks integer
)
returns double precision
language plpgsql
set search_path = pg_catalog
as $$
declare
  moment timestamptz;
  state record;
begin
  -- a session that counts a failure holds this row: its result decides
  perform from password_grant.failures where key = pair for update;
  moment := clock_timestamp();
  select * into state from password_grant.find_throttle_state(
    pair, buckets, limits, network, names_limit, moment, forget_seconds, known_days, window_seconds);
  if state.wait_seconds > 0 then
    return state.wait_seconds;
  end if;
  if state.has_failed then
    delete from password_grant.failures where key = pair;
  end if;
  if not state.is_fresh and max_networks > 0 then
    delete from password_grant.known_networks where key in (
      select key from password_grant.known_networks
      where user_id = of_user and key <> pair
      order by signed_in_at desc
      offset max_networks - 1
    );
    insert into password_grant.known_networks (key, user_id, signed_in_at) values (pair, of_user, moment)
    on conflict (key) do update set user_id = excluded.user_id, signed_in_at = excluded.signed_in_at;
  end if;
  return 0;
end
$$;
comment on function password_grant.settle_sign_in(
  text, text[], integer[], text, integer, uuid, double precision, integer, double precision, integer
) is
  'Returns the seconds to wait when a wait began while the password was checked. Otherwise returns 0, forgets the failures
and remembers the network, unless max_networks is 0. A function, because it must see what other sessions committed while
it waited for the user''s row; the calling statement cannot.';

create index if not exists users_hash_cost on password_grant.users
  ((substring(password_hash from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C"));
create index if not exists clients_hash_cost on password_grant.clients
  ((substring(secret_hash from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C"));
comment on index password_grant.users_hash_cost is 'the distinct costs of stored hashes, for the time of refusals';
comment on index password_grant.clients_hash_cost is 'the distinct costs of stored hashes, for the time of refusals';
