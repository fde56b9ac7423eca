import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Database, Query, Script } from '../../src/database/database.ts'
import { createPasswords } from '../../src/passwords/password.ts'
import { generateBytes, generateId, signText } from '../../src/secrets.ts'
import { findToken } from '../../src/tokens/find-token.ts'
import { listLiveTokens } from '../../src/tokens/list-tokens.ts'
import {
  revokeTokenOfDevice,
  revokeTokenOfUser,
  revokeTokensOfClient,
  revokeTokensOfUser,
} from '../../src/tokens/revoke-token.ts'
import { writeTokenValue } from '../../src/tokens/token-value.ts'
import { authenticateDevice, createDeviceFinder, useTimestamp } from '../../src/users/authenticate-device.ts'
import { findHashCosts } from '../../src/users/find-hash-costs.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { authenticateUser } from '../support/credentials.ts'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { authenticateClient, cheapPasswords, randomWord } from '../support/people.ts'
import { takeSeat } from '../support/seats.ts'

const rowsCount = 50_000
const seatsCount = 60

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

describe(`with ${rowsCount.toLocaleString('en')} clients, users, tokens and devices`, async () => {
  const passwords = await createPasswords(cheapPasswords)
  const statements: Statement[] = []
  let database: Database

  /** Passes everything on, and keeps what was asked: the statements as they are in the source. */
  const recording: Query = (name, text, values = []) => {
    statements.push({ name, text, values })
    return database.writes(name, text, values)
  }

  beforeAll(async () => {
    database = (await freshDatabase()).database
    await fill(database, await passwords.hash('password'))
    const userId = await findUserId(database)
    const user = await authenticateUser(recording, passwords, 'user-20000', 'password')
    const client = await authenticateClient(recording, passwords, { id: 'client-20000', secret: null })
    await findHashCosts(recording)
    const { value } = await takeSeat(recording, {
      userId,
      userVersion: user.userVersion,
      clientId: client.id,
      clientVersion: client.credentialVersion,
      lifetimeSeconds: 60,
      maxSeats: seatsCount,
    })
    await signInDevice(recording)
    await listLiveTokens(recording, userId)
    await revokeTokenOfUser(recording, userId, generateId())
    await revokeTokenOfDevice(recording, userId, 'label-1')
    await findToken(recording, value ?? writeTokenValue(generateId(), generateBytes(32)))
    await revokeTokensOfUser(recording, userId)
    await revokeTokensOfClient(recording, 'client-20000')
    return () => database.close()
  })

  const promises = [
    ['finding a token', 'find_token', ['tokens_pkey', 'users_pkey']],
    ['finding a user', 'find_credentials', ['users_name_key']],
    ['finding a client', 'find_client', ['clients_pkey']],
    ['taking a seat', 'issue_token', ['clients_pkey', 'tokens_seat', 'users_pkey']],
    ['finding a device', 'find_device', ['devices_key', 'users_pkey']],
    ["using a device's time up", 'use_timestamp', ['devices_pkey']],
    ["listing a user's seats", 'list_live_tokens', ['tokens_seat', 'users_pkey']],
    ['ending one seat by its id', 'revoke_token_of_user', ['tokens_pkey']],
    ['ending one seat by its label', 'revoke_token_of_device', ['tokens_seat']],
    ["ending a user's tokens", 'revoke_tokens_of_user', ['tokens_pkey', 'tokens_seat']],
    ['the costs of stored hashes', 'find_hash_costs', ['clients_hash_cost', 'users_hash_cost']],
    ["ending a client's tokens", 'revoke_tokens_of_client', ['tokens_client', 'tokens_pkey']],
  ] as const

  // a prepared statement gets a plan for its values first and may later get one for any values
  describe.each(['force_custom_plan', 'force_generic_plan'])('and %s', (mode) => {
    test.each(promises)('%s reads no table from end to end', async (_what, name, indexes) => {
      const nodes = flatten(await explain(database, mode, statementCalled(name)))
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([])
      const used = nodes.flatMap((node) => [node['Index Name'] ?? [], node['Conflict Arbiter Indexes'] ?? []].flat())
      expect([...new Set(used)].toSorted()).toEqual([...indexes])
    })

    test.each([
      ['that are few', seatsCount + 1, 0],
      ['beyond the limit', 10, seatsCount - 9],
    ])('evicting seats %s reads no table from end to end', async (_what, most, gone) => {
      const counted = await countScans(database, mode, most)
      expect(counted).toEqual({ sequential: 0, bySeat: expect.any(Number), deleted: gone })
      expect(counted.bySeat).toBeGreaterThan(0)
    })
  })

  function statementCalled(name: string): Statement {
    const statement = statements.find((one) => one.name === name)
    if (!statement) throw new Error(`the source has no statement called ${name}`)
    return statement
  }
})

async function fill({ script }: Database, passwordHash: string): Promise<void> {
  const count = `generate_series(1, ${rowsCount}) n`
  await script(`insert into password_grant.clients (id, is_public) select 'client-' || n, true from ${count}`)
  await script(
    `insert into password_grant.users (id, name, name_key, password_hash)
    select gen_random_uuid(), 'user-' || n, 'user-' || n, $1 from ${count}`,
    [passwordHash],
  )
  await script(
    `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), id, '', replace(name, 'user', 'client'), sha256(id::text::bytea), now(), now() + interval '1 day'
    from password_grant.users`,
  )
  await script(
    `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
    select gen_random_uuid(), t.user_id, 'label-' || n, t.client_id, t.secret_hash, t.issued_at, t.expires_at
    from password_grant.tokens t, generate_series(1, ${seatsCount - 1}) n
    where t.client_id = 'client-20000'`,
  )
  await script(
    `insert into password_grant.devices (user_id, device_key, customer_key)
    select id, name, sha256(id::text::bytea) from password_grant.users`,
  )
  await script('analyze password_grant.clients, password_grant.users, password_grant.tokens, password_grant.devices')
}

/** As a device does, once. */
async function signInDevice(query: Query): Promise<void> {
  const [encryptionKey, customerKey, deviceKey] = [generateBytes(32), keepSecret(randomWord()), randomWord()]
  await registerDevice(query, encryptionKey, { deviceKey, customerKey })
  const timestamp = String(Math.floor(Date.now() / 1_000))
  const signature = signText(customerKey, timestamp + deviceKey).toString('hex')
  const device = await authenticateDevice(createDeviceFinder(query), encryptionKey, { deviceKey, timestamp, signature })
  await useTimestamp(query, device, timestamp)
}

interface Scans {
  readonly sequential: number
  readonly bySeat: number
  readonly deleted: number
}

/** What `make_room` does inside, which no plan shows: the scans it makes and the rows it takes; nothing is kept. */
async function countScans(database: Database, mode: string, maxSeats: number): Promise<Scans> {
  const undo = new Error('undo')
  const counted: Scans[] = []
  const count = async (script: Script) => counted.push(...(await script<Scans>(readScans)))
  await database
    .transaction(async (_query, script) => {
      await script(`set local plan_cache_mode = ${mode}`)
      await count(script)
      await script(
        `select password_grant.make_room(id, 'new', ${maxSeats}) from password_grant.users where name = 'user-20000'`,
      )
      await count(script)
      throw undo
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error
    })
  const [before, after] = counted as [Scans, Scans]
  return {
    sequential: after.sequential - before.sequential,
    bySeat: after.bySeat - before.bySeat,
    deleted: after.deleted - before.deleted,
  }
}

// what the session has not reported yet, hence the difference
const readScans = `
select
  pg_stat_get_xact_numscans('password_grant.tokens'::regclass)::integer as sequential,
  pg_stat_get_xact_numscans('password_grant.tokens_seat'::regclass)::integer as "bySeat",
  pg_stat_get_xact_tuples_deleted('password_grant.tokens'::regclass)::integer as deleted`

async function findUserId({ script }: Database): Promise<string> {
  const [row] = await script<{ id: string }>("select id from password_grant.users where name = 'user-20000'")
  return row?.id ?? ''
}

async function explain(database: Database, mode: string, { text, values }: Statement): Promise<Plan> {
  return database.transaction(async (_query, script) => {
    await script(`set local plan_cache_mode = ${mode}`)
    await script(`prepare looked_at as ${text}`)
    const given = values.length > 0 ? `(${values.map(literal).join(', ')})` : ''
    const [row] = await script<{ 'QUERY PLAN': { Plan: Plan }[] }>(`explain (format json) execute looked_at${given}`)
    await script('deallocate looked_at')
    return row?.['QUERY PLAN'][0]?.Plan as Plan
  })
}

function literal(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value))
    return pg.escapeLiteral(`{${value.map((item) => JSON.stringify(writeText(item))).join(',')}}`)
  return pg.escapeLiteral(writeText(value))
}

function writeText(value: unknown): string {
  return Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : String(value)
}

function flatten(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flatten)]
}
