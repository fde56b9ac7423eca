import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import Postgrator from 'postgrator'
import type { Database, Query } from './database.ts'

const folder = fileURLToPath(new URL('../../sql/', import.meta.url))

/** The newest schema this code knows: the highest number in `sql/`. */
export const codeVersion = Math.max(...readdirSync(folder).map((file) => Number.parseInt(file, 10) || 0))

/** What a migration did. */
export interface Migration {
  /** Numbers applied by this call, in order. */
  readonly applied: readonly number[]
  /** The schema's number afterwards. */
  readonly version: number
}

/** Called in the migration's own transaction, so that what it writes is there with the tables or not at all. */
export type OnApplied = (query: Query, applied: readonly number[]) => Promise<void>

/** A schema's relation to this code; `newer` is one that still admits it. */
type SchemaState = 'current' | 'not migrated' | 'too new for this version of fastify-password-grant'

/**
 * Brings the schema up to this code, forward only, once, however many processes ask at a time: all of it in
 * one transaction behind an advisory lock. A schema newer than the code is left alone if it admits this code.
 * Throws Error when it does not or the database is not in UTF-8, OAuthError `temporarily_unavailable` when the database is away.
 */
export async function migrate(database: Database, onApplied?: OnApplied): Promise<Migration> {
  await requireUtf8(database.query)
  const found = await readVersion(database.query)
  if (found.version > codeVersion) return { applied: [], version: requireAdmission(found).version }
  return database.transaction(async (query) => {
    await query('', "select pg_advisory_xact_lock(hashtext('fastify-password-grant migrate'))")
    requireAdmission(await readVersion(query))
    const applied = await applyMigrations(query)
    await onApplied?.(query, applied)
    return { applied, version: (await readVersion(query)).version }
  })
}

/** How the schema stands to this code, without changing it. Throws when the database is away. */
export async function schemaState(query: Query): Promise<SchemaState> {
  const { version, oldestCode } = await readVersion(query)
  if (version < codeVersion) return 'not migrated'
  return oldestCode <= codeVersion ? 'current' : 'too new for this version of fastify-password-grant'
}

/** In another encoding some names and passwords of people could not be stored. */
async function requireUtf8(query: Query): Promise<void> {
  const [row] = await query<{ encoding: string }>(
    'server_encoding',
    `select current_setting('server_encoding') as encoding`,
  )
  if (row?.encoding === 'UTF8') return
  throw new Error(`The database has the encoding ${row?.encoding}; create one with the encoding UTF8.`)
}

async function applyMigrations(query: Query): Promise<number[]> {
  const execQuery = async (text: string) => ({ rows: await query('', text) })
  const postgrator = new Postgrator({
    driver: 'pg',
    migrationPattern: `${folder.replaceAll('\\', '/').replace(/[?*()[\]{}!+@]/g, '[$&]')}*.sql`, // a path, not a glob
    schemaTable: 'password_grant.migrations',
    execQuery,
    execSqlScript: async (text) => {
      await execQuery(text)
    },
  })
  const migrations = await postgrator.migrate()
  return migrations.map(({ version }) => version)
}

interface SchemaVersion {
  version: number
  /** The oldest code that can run on it. */
  oldestCode: number
}

async function readVersion(query: Query): Promise<SchemaVersion> {
  const [tables] = await query<{ exists: boolean }>(
    'schema_exists',
    `select to_regclass('password_grant.compatibility') is not null as exists`,
  )
  if (!tables?.exists) return { version: 0, oldestCode: 0 }
  const [row] = await query<SchemaVersion>(
    'schema_version',
    `select
      (select max(version)::integer from password_grant.migrations) as version,
      (select oldest_code from password_grant.compatibility) as "oldestCode"`,
  )
  return row as SchemaVersion // scalar sub-selects always make one row
}

function requireAdmission(schema: SchemaVersion): SchemaVersion {
  if (schema.oldestCode <= codeVersion) return schema
  throw new Error(
    `The database was migrated to version ${schema.version} by a newer fastify-password-grant and admits code from ` +
      `version ${schema.oldestCode} on; this is ${codeVersion}. Upgrade this installation.`,
  )
}
