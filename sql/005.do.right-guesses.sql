-- Why: a right password counts only while no wait runs, and what it settles is written with the seat it takes: in one
-- statement instead of up to four.

create function password_grant.find_standing(
  pair text, stranger text, moment timestamptz,
  forget_seconds double precision, known_days integer, strangers_seconds double precision, strangers_limit bigint
)
returns table (has_failed boolean, is_known boolean, is_fresh boolean, wait_seconds double precision)
language sql stable rows 1 as $$
  select
    f.key is not null,
    n.is_known,
    n.is_known and n.signed_in_at > moment - interval '1 hour',
    greatest(
      0,
      extract(epoch from f.wait_until - moment),
      (
        select extract(epoch from at + make_interval(secs => strangers_seconds) - moment)
        from password_grant.guesses g
        cross join unnest(g.guessed_at) at
        where g.key = case when n.is_known then pair else stranger end
        order by at desc
        offset strangers_limit - 1
        limit 1
      )
    )::double precision
  from (
    select k.signed_in_at, coalesce(k.signed_in_at > moment - make_interval(days => known_days), false) as is_known
    from (select) always
    left join password_grant.known_networks k on k.key = pair
  ) n
  left join password_grant.failures f
    on f.key = pair and (f.failed_at > moment - make_interval(secs => forget_seconds) or f.wait_until > moment)
$$;
comment on function password_grant.find_standing(
  text, text, timestamptz, double precision, integer, double precision, bigint
) is
  'How attempts at a user from a network stand at a moment, by the keys of the pair and of strangers: whether one failed
lately, whether the user signed in from there lately or within the hour, and for how long nothing is looked at. A network
the user is known from has an allowance of guesses of its own, so that both kinds cost the same.';

create function password_grant.settle_right_guess(
  pair text, stranger text, of_user uuid,
  forget_seconds double precision, known_days integer, strangers_seconds double precision, strangers_limit bigint
)
returns double precision
language plpgsql as $$
declare
  moment timestamptz;
  standing record;
begin
  -- whoever is counting another failure has the row: what stands there afterwards is what counts
  perform from password_grant.failures where key = pair for update;
  moment := clock_timestamp();
  select * into standing from password_grant.find_standing(
    pair, stranger, moment, forget_seconds, known_days, strangers_seconds, strangers_limit);
  if standing.wait_seconds > 0 then
    return standing.wait_seconds;
  end if;
  if standing.has_failed then
    delete from password_grant.failures where key = pair;
  end if;
  if not standing.is_fresh then
    insert into password_grant.known_networks (key, user_id, signed_in_at) values (pair, of_user, moment)
    on conflict (key) do update set user_id = excluded.user_id, signed_in_at = excluded.signed_in_at;
  end if;
  return 0;
end
$$;
comment on function password_grant.settle_right_guess(
  text, text, uuid, double precision, integer, double precision, bigint
) is
  'Seconds to wait, when a wait began while the password was being looked at; otherwise 0, and the failures before are
forgotten and the network is remembered. A function, since it must see what was counted while it waited for the row of the
user, which the statement that waited does not.';
