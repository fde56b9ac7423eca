import type { Query } from '../database/database.ts'

/**
 * Finds the distinct costs of all stored hashes, of passwords and current client secrets, as `m=…,t=…,p=…` texts. Reads
 * one index entry per cost, so it stays fast with a million users. Throws OAuthError `temporarily_unavailable`.
 */
export async function findHashCosts(query: Query): Promise<string[]> {
  const rows = await query<{ cost: string }>('find_hash_costs', text)
  return rows.map(({ cost }) => cost)
}

/** Builds a loose index scan over the costs in a column: each step finds the next larger cost. */
const selectCosts = (table: string, column: string) => {
  const cost = `(substring(${column} from '^[$]argon2[a-z]+[$](?:v=[0-9]+[$])?([^$]+)') collate "C")`
  return `
  select cost from (
    with recursive costs as (
      (select ${cost} as cost from password_grant.${table} where ${cost} is not null order by 1 limit 1)
      union all
      select (select ${cost} from password_grant.${table} where ${cost} > costs.cost order by 1 limit 1)
      from costs
      where costs.cost is not null
    )
    select cost from costs where cost is not null
  ) ${table}`
}

const text = `${selectCosts('users', 'password_hash')} union ${selectCosts('clients', 'secret_hash')}`
