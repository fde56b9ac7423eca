-- Why: keys are compared byte by byte, whatever collation the database has; and functions resolve every name in
-- pg_catalog, so that nothing another tenant of the database plants in its schemas runs with the caller's rights.

-- Changes what the online steps have not changed: all of it in an empty database, little elsewhere.
do $$
declare
  key record;
begin
  for key in
    select relname, attname
    from (values
      ('users', 'name_key'), ('clients', 'id'), ('tokens', 'client_id'), ('tokens', 'device'),
      ('devices', 'device_key'), ('signing_keys', 'id'), ('attempts', 'key'), ('failures', 'key'), ('guesses', 'key'),
      ('known_networks', 'key')
    ) keys (relname, attname)
    join pg_attribute a using (attname)
    where a.attrelid = ('password_grant.' || relname)::regclass and a.attcollation <> 'pg_catalog."C"'::regcollation
  loop
    execute format('alter table password_grant.%I alter column %I type text collate "C"', key.relname, key.attname);
  end loop;
end
$$;

-- The session of an operator who ends a token by hand has a search path of its own.
alter function password_grant.announce_ended_tokens() set search_path = pg_catalog;
alter function password_grant.make_room(uuid, text, integer) set search_path = pg_catalog;
alter function password_grant.settle_right_guess(
  text, text, uuid, double precision, integer, double precision, bigint
) set search_path = pg_catalog;

-- Functions in SQL are inlined, which one with a search path is not: their names and operators are written with a schema.
create or replace function password_grant.wait_after(failures integer, free integer, longest_seconds integer)
returns interval
language sql immutable
return case when failures >= free
  then make_interval(secs => least(longest_seconds, power(2, least(failures - free, 30)))) end;

create or replace function password_grant.find_standing(
  pair text, stranger text, moment timestamptz,
  forget_seconds double precision, known_days integer, strangers_seconds double precision, strangers_limit bigint
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
        select extract(epoch from (
          at operator(pg_catalog.+) pg_catalog.make_interval(secs => strangers_seconds)
        ) operator(pg_catalog.-) moment)
        from password_grant.guesses g
        cross join pg_catalog.unnest(g.guessed_at) at
        where g.key operator(pg_catalog.=) case when n.is_known then pair else stranger end
        order by at desc
        offset strangers_limit operator(pg_catalog.-) 1
        limit 1
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
