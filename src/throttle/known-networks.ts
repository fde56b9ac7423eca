import type { Query } from '../database/database.ts'
import type { Attempt } from './attempt.ts'

/** A user who signed in with the right credentials, and the attempt. */
export interface SignIn {
  readonly attempt: Attempt
  readonly userId: string
}

/** Maximum number of known networks for each user. The newest ones stay. */
const maxNetworks = 100

/** Stores the networks that users signed in from. Skips attempts without a readable network. */
export async function rememberNetworks(query: Query, signIns: readonly SignIn[]): Promise<void> {
  const named = signIns.filter(({ attempt }) => attempt.network !== '')
  if (named.length === 0) return
  await query(
    'remember_networks',
    `with signed_in as (
      select * from unnest((select $1::text[]), (select $2::uuid[])) as s (key, user_id)
    ), surplus as (
      delete from password_grant.known_networks
      where key in (
        select k.key
        from signed_in s
        cross join lateral (
          select key from password_grant.known_networks
          where user_id = s.user_id and key <> s.key
          order by signed_in_at desc
          offset $3
        ) k
      )
    )
    insert into password_grant.known_networks (key, user_id, signed_in_at)
    select key, user_id, clock_timestamp() from signed_in order by key
    on conflict (key) do update set user_id = excluded.user_id, signed_in_at = excluded.signed_in_at`,
    [named.map(({ attempt }) => attempt.subjectAndNetwork), named.map(({ userId }) => userId), maxNetworks - 1],
  )
}
