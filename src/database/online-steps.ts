import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Script } from './database.ts'
import type { MigrationFile } from './migration-files.ts'
import { retryLocked } from './retry-locked.ts'

const lockName = "hashtext('fastify-password-grant online steps')"
const lockTimeoutMs = 300

/**
 * Runs the steps of an `online` file one by one while servers keep working, once and in one process at a time. If a step
 * fails, the next `migrate` starts again from the first one, so each step must be repeatable.
 */
export async function runOnlineSteps(database: Database, { version, text }: MigrationFile): Promise<void> {
  await database.transaction(async (_query, script) => {
    await takeTurn(script)
    // steps run on other connections, since a concurrent build cannot run within a transaction
    if (await isDone(database.script, version)) return
    for (const step of text.split(/^-- step$/m)) await runStep(database.script, step.trim())
    await script(`insert into password_grant.migrations (version, name) values (${-version}, 'online')`)
  })
}

/** Tells whether the steps are done: they have a row with the negative version, until the migration has its own row. */
async function isDone(script: Script, version: number): Promise<boolean> {
  const rows = await script('select from password_grant.migrations where version in ($1, $2)', [version, -version])
  return rows.length > 0
}

/**
 * Takes the lock by polling. A statement that waited for the lock would hold a snapshot, and a concurrent index build waits
 * for the end of all snapshots. A sleeping transaction holds none, but only in the simple query protocol: in the extended
 * protocol the last portal keeps its snapshot.
 */
async function takeTurn(script: Script): Promise<void> {
  for (;;) {
    const [row] = await script<{ taken: boolean }>(`select pg_try_advisory_xact_lock(${lockName}) as taken`)
    if (row?.taken) return
    await sleep(100)
  }
}

async function runStep(script: Script, step: string): Promise<void> {
  const index = /create (?:unique )?index concurrently if not exists (\w+)/.exec(step)?.[1]
  if (index === undefined) {
    await retryLocked(() => script(`set local lock_timeout = ${lockTimeoutMs};\n${step}`))
    return
  }
  await dropBrokenIndex(script, index)
  await script(step).catch((error: unknown) => {
    throw explainDuplicate(error, index)
  })
}

/** Drops the invalid index of an interrupted build, which `if not exists` would take for a complete one. */
async function dropBrokenIndex(script: Script, index: string): Promise<void> {
  const broken = await script('select from pg_index where indexrelid = to_regclass($1) and not indisvalid', [
    `password_grant.${index}`,
  ])
  if (broken.length > 0) await script(`drop index concurrently if exists password_grant.${index}`)
}

function explainDuplicate(error: unknown, index: string): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === '23505')) return error
  return new Error(
    `The index ${index} cannot be built, since two rows have the same key. A change of the database's collation hid that ` +
      'they are equal. Remove one of each pair, see docs/guides/own-postgresql.md, and run `migrate` again.',
    { cause: error },
  )
}
