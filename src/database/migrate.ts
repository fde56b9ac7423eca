import type { Database, Query, Script } from './database.ts'
import { codeVersion, type MigrationFile, readMigrationFiles } from './migration-files.ts'
import { runOnlineSteps } from './online-steps.ts'
import { requireOwnReferences, requireOwnSchema, requireSchema } from './require-schema.ts'
import { retryLocked } from './retry-locked.ts'

export { codeVersion } from './migration-files.ts'

/** The result of a migration. */
export interface Migration {
  /** The migrations applied by this call, in order. */
  readonly applied: readonly number[]
  /** The version of the schema afterwards. */
  readonly version: number
}

/** Called in the transaction of the migration, so that its writes are committed together with the tables. */
export type OnApplied = (query: Query, applied: readonly number[]) => Promise<void>

/** Whether this code can use the schema. A newer schema that admits this code is `current`. */
type SchemaState = 'current' | 'not migrated' | 'too new for this version of fastify-password-grant'

/**
 * Migrates the schema to the version of this code. It only moves forward, and concurrent processes apply each migration once.
 * It fills an empty database in one transaction. On existing tables it first runs the online steps of each migration, during
 * which servers keep working. It leaves a newer schema alone if that admits this code.
 *
 * Throws Error if a newer schema does not admit this code, if the database is not in UTF-8, or if the schema belongs to
 * another role or cannot be created. Throws OAuthError `temporarily_unavailable` when the database is away.
 */
export async function migrate(database: Database, onApplied?: OnApplied): Promise<Migration> {
  await requireUtf8(database.lookups)
  await requireOwnSchema(database.script)
  const found = await readVersion(database.lookups)
  if (found.version > codeVersion) return { applied: [], version: requireAdmission(found).version }
  const files = readMigrationFiles('do')
  const applied: number[] = []
  for (const online of findOnlineFiles(found.version)) {
    applied.push(...(await applyUpTo(database, online.version - 1, files, onApplied)))
    await runOnlineSteps(database, online)
  }
  applied.push(...(await applyUpTo(database, codeVersion, files, onApplied)))
  await validateConstraints(database)
  await requireOwnReferences(database.lookups)
  return { applied, version: requireVersion(await readVersion(database.lookups)) }
}

/** Tells whether this code can use the schema, without changing it. Throws when the database is away. */
export async function schemaState(query: Query): Promise<SchemaState> {
  const { version, oldestCode } = await readVersion(query)
  if (version < codeVersion || codeVersion === 0) return 'not migrated'
  return oldestCode <= codeVersion ? 'current' : 'too new for this version of fastify-password-grant'
}

/** Throws Error if the encoding is not UTF-8, since others cannot store every user name. */
async function requireUtf8(query: Query): Promise<void> {
  const [row] = await query<{ encoding: string }>(
    'server_encoding',
    `select current_setting('server_encoding') as encoding`,
  )
  if (row?.encoding === 'UTF8') return
  throw new Error(`The database has the encoding ${row?.encoding}. Create one with the encoding UTF8.`)
}

/** Finds the online steps to run. An empty database needs none, since no servers use it yet. */
function findOnlineFiles(foundVersion: number): MigrationFile[] {
  return foundVersion === 0 ? [] : readMigrationFiles('online').filter(({ version }) => version > foundVersion)
}

/** The advisory lock for changes of the schema and its grants. */
export const migrationLock = "hashtext('fastify-password-grant migrate')"
/** Shorter than the lock timeout of a sign-in, so that a sign-in queued behind a waiting migration still succeeds. */
const lockTimeoutMs = 1_000

/** Applies migrations in one transaction under an advisory lock. Gives up and retries rather than make servers wait long. */
async function applyUpTo(
  database: Database,
  version: number,
  files: readonly MigrationFile[],
  onApplied?: OnApplied,
): Promise<number[]> {
  return retryLocked(() =>
    database.transaction(async (query, script) => {
      await script(`select pg_advisory_xact_lock(${migrationLock})`)
      requireAdmission(await readVersion(query))
      await script(`set local lock_timeout = ${lockTimeoutMs}`)
      const applied = await applyFiles(script, version, files)
      await onApplied?.(query, applied)
      return applied
    }),
  )
}

async function applyFiles(script: Script, upTo: number, files: readonly MigrationFile[]): Promise<number[]> {
  await requireSchema(script)
  const known = await script<{ version: number; md5: string | null }>(
    'select version::integer, md5 from password_grant.migrations where version > 0',
  )
  for (const { version, md5 } of known) requireUnchanged(files, version, md5)
  const newest = Math.max(0, ...known.map(({ version }) => version))
  const due = files.filter(({ version }) => version > newest && version <= upTo)
  for (const { version, words, text, md5 } of due) {
    await script(text)
    await script('delete from password_grant.migrations where version = $1', [-version]) // the row of its online steps
    await script(
      'insert into password_grant.migrations (version, name, md5, run_at) values ($1, $2, $3, clock_timestamp())',
      [version, words, md5],
    )
  }
  return due.map(({ version }) => version)
}

function requireUnchanged(files: readonly MigrationFile[], version: number, md5: string | null): void {
  const file = files.find((one) => one.version === version)
  if (!file || md5 === null || md5 === file.md5) return
  throw new Error(`The checksum of migration [${version}] differs from the applied one: its file was edited.`)
}

/** Validates constraints that migrations added as `not valid`, under a lock that blocks neither readers nor writers. */
async function validateConstraints({ lookups, script }: Database): Promise<void> {
  const constraints = await lookups<{ statement: string }>(
    'find_unvalidated',
    `select format('alter table %s validate constraint %I', conrelid::regclass, conname) as statement
    from pg_constraint
    where connamespace = to_regnamespace('password_grant') and not convalidated`,
  )
  for (const { statement } of constraints) await script(statement)
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
  return row as SchemaVersion // scalar sub-selects always return one row
}

function requireAdmission(schema: SchemaVersion): SchemaVersion {
  if (schema.oldestCode <= codeVersion) return schema
  throw new Error(
    `The database was migrated to version ${schema.version} by a newer fastify-password-grant and admits code from ` +
      `version ${schema.oldestCode} on; this is ${codeVersion}. Upgrade this installation.`,
  )
}

/** Throws Error if the version is below this code's. A newer one is fine, since another process may have migrated. */
function requireVersion({ version }: SchemaVersion): number {
  if (version >= codeVersion) return version
  throw new Error(`The database is at version ${version} after the migration, and this code needs ${codeVersion}.`)
}
