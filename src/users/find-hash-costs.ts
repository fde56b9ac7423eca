import type { Query } from '../database/database.ts'

/**
 * Finds the distinct costs of all stored hashes of passwords and client secrets, as `m=…,t=…,p=…` texts. Reads one index
 * entry for each cost, so it stays quick with a million users. Throws OAuthError `temporarily_unavailable`.
 */
export async function findHashCosts(query: Query): Promise<string[]> {
  const rows = await query<{ cost: string }>('find_hash_costs', text)
  return rows.map(({ cost }) => cost)
}

/** The cost in a hash; for users, the expression of the index users_hash_cost. */
const costIn = (hash: string) => `(substring(${hash} from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C")`
const cost = costIn('password_hash')

const text = `
with recursive costs as (
  (select ${cost} as cost from password_grant.users where ${cost} is not null order by 1 limit 1)
  union all
  select (select ${cost} from password_grant.users where ${cost} > costs.cost order by 1 limit 1)
  from costs
  where costs.cost is not null
)
select cost from costs where cost is not null
union
select ${costIn('secret_hash')} from password_grant.clients where ${costIn('secret_hash')} is not null`
