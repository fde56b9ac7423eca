import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { createClientCheck } from '../../src/clients/authenticate-client.ts'
import type { Database, Query } from '../../src/database/database.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { generateBytes, generateId } from '../../src/secrets.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import { issueToken } from '../../src/tokens/issue-token.ts'
import { revokeTokensOfClient, revokeTokensOfUser } from '../../src/tokens/revoke-token.ts'
import { writeTokenValue } from '../../src/tokens/token-value.ts'
import { authenticateUser } from '../../src/users/authenticate-user.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { cheapPasswords } from '../support/people.ts'

const rowsCount = 50_000

interface Statement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Conflict Arbiter Indexes'?: readonly string[]
  readonly Plans?: readonly Plan[]
}

describe(`with ${rowsCount.toLocaleString('en')} clients, users and tokens`, async () => {
  const passwords = await createPasswords(cheapPasswords)
  const statements: Statement[] = []
  let database: Database

  /** Passes everything on, and keeps what was asked: the statements as they are in the source. */
  const recording: Query = (name, text, values = []) => {
    statements.push({ name, text, values })
    return database.query(name, text, values)
  }

  beforeAll(async () => {
    database = (await freshDatabase()).database
    await fill(database, await passwords.hash('password'))
    const userId = await findUserId(database)
    const user = await authenticateUser(recording, passwords, 'user-20000', 'password')
    const client = await createClientCheck(recording, passwords)({ id: 'client-20000', secret: null })
    const issue = await issueToken(recording, {
      userId: user.id,
      credentialVersion: user.credentialVersion,
      clientId: client.id,
      clientVersion: client.credentialVersion,
      device: '',
      lifetimeSeconds: 60,
    })
    await findToken(recording, 'token' in issue ? issue.token.value : writeTokenValue(generateId(), generateBytes(32)))
    await revokeTokensOfUser(recording, userId)
    await revokeTokensOfClient(recording, 'client-20000')
    return () => database.close()
  })

  const promises = [
    ['finding a token', 'find_token', ['tokens_pkey', 'users_pkey']],
    ['finding a user', 'find_credentials', ['users_name_key']],
    ['finding a client', 'find_client', ['clients_pkey']],
    ['taking a seat', 'issue_token', ['clients_pkey', 'tokens_seat', 'users_pkey']],
    ["ending a user's tokens", 'revoke_tokens_of_user', ['tokens_seat']],
    ["ending a client's tokens", 'revoke_tokens_of_client', ['tokens_client']],
  ] as const

  // a prepared statement gets a plan for its values first and may later get one for any values
  describe.each(['force_custom_plan', 'force_generic_plan'])('and %s', (mode) => {
    test.each(promises)('%s reads no table from end to end', async (_what, name, indexes) => {
      const nodes = flatten(await explain(database, mode, statementCalled(name)))
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([])
      const used = nodes.flatMap((node) => [node['Index Name'] ?? [], node['Conflict Arbiter Indexes'] ?? []].flat())
      expect([...new Set(used)].toSorted()).toEqual([...indexes])
    })
  })

  function statementCalled(name: string): Statement {
    const statement = statements.find((one) => one.name === name)
    if (!statement) throw new Error(`the source has no statement called ${name}`)
    return statement
  }
})

async function fill({ query }: Database, passwordHash: string): Promise<void> {
  const count = `generate_series(1, ${rowsCount}) n`
  await query('', `insert into password_grant.clients (id, is_public) select 'client-' || n, true from ${count}`)
  await query(
    '',
    `insert into password_grant.users (id, name, name_key, password_hash)
    select gen_random_uuid(), 'user-' || n, 'user-' || n, $1 from ${count}`,
    [passwordHash],
  )
  await query(
    '',
    `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), id, '', replace(name, 'user', 'client'), sha256(id::text::bytea), now(), now() + interval '1 day'
    from password_grant.users`,
  )
  await query('', 'analyze password_grant.clients, password_grant.users, password_grant.tokens')
}

async function findUserId({ query }: Database): Promise<string> {
  const [row] = await query<{ id: string }>('', "select id from password_grant.users where name = 'user-20000'")
  return row?.id ?? ''
}

async function explain(database: Database, mode: string, { text, values }: Statement): Promise<Plan> {
  return database.transaction(async (query) => {
    await query('', `set local plan_cache_mode = ${mode}`)
    await query('', `prepare looked_at as ${text}`)
    const given = values.length > 0 ? `(${values.map(literal).join(', ')})` : ''
    const [row] = await query<{ 'QUERY PLAN': { Plan: Plan }[] }>('', `explain (format json) execute looked_at${given}`)
    await query('', 'deallocate looked_at')
    return row?.['QUERY PLAN'][0]?.Plan as Plan
  })
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return pg.escapeLiteral(`{${value.join(',')}}`)
  return pg.escapeLiteral(Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : String(value))
}

function flatten(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flatten)]
}
