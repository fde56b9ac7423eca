import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Script } from './database.ts'
import type { MigrationFile } from './migration-files.ts'
import { retryLocked } from './retry-locked.ts'

const lockName = "hashtext('fastify-password-grant online steps')"
const lockTimeoutMs = 300

/**
 * Runs the steps of an `online` file one by one while servers work, in one process at a time and once. A step that breaks
 * off is repeated by the next `migrate`, with those before it: each may run again.
 */
export async function runOnlineSteps(database: Database, { version, text }: MigrationFile): Promise<void> {
  await database.transaction(async (_query, script) => {
    await takeTurn(script)
    // on connections of their own: a concurrent build cannot run within a transaction
    if (await isDone(database.script, version)) return
    for (const step of text.split(/^-- step$/m)) await runStep(database.script, step.trim())
    await script(`insert into password_grant.migrations (version, name) values (${-version}, 'online')`)
  })
}

/** Steps that are done have a row under the negative number, until the migration itself has its own. */
async function isDone(script: Script, version: number): Promise<boolean> {
  const rows = await script('select from password_grant.migrations where version in ($1, $2)', [version, -version])
  return rows.length > 0
}

/**
 * Asks again and again instead of waiting: a statement that waits holds a snapshot, for whose end a concurrent build waits
 * in turn. A transaction that sleeps holds none, as long as its statements are sent in the simple protocol: in the extended
 * one the last portal keeps its snapshot.
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

/** What an interrupted build left behind has the name, and counts as there. */
async function dropBrokenIndex(script: Script, index: string): Promise<void> {
  const broken = await script('select from pg_index where indexrelid = to_regclass($1) and not indisvalid', [
    `password_grant.${index}`,
  ])
  if (broken.length > 0) await script(`drop index concurrently if exists password_grant.${index}`)
}

function explainDuplicate(error: unknown, index: string): unknown {
  if (!(error instanceof Error && 'code' in error && error.code === '23505')) return error
  return new Error(
    `The index ${index} cannot be built, since two rows have the same key: a change of the database's collation hid one ` +
      'from the other. Remove one of each two, see docs/guides/own-postgresql.md, and run `migrate` again.',
    { cause: error },
  )
}
