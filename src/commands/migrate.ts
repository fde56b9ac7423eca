import { findCollationChanges } from '../database/collation-changes.ts'
import type { Database } from '../database/database.ts'
import { grantTo } from '../database/grant-to.ts'
import { type Migration, migrate } from '../database/migrate.ts'
import type { Answer } from './answer.ts'

/** `migrate`: brings the schema up to this version; with a role, gives that role what a server needs. */
export async function migrateCommand(database: Database, role: string | undefined): Promise<Answer> {
  const migration: Migration = await migrate(database)
  if (role !== undefined) await grantTo(database, role)
  for (const sentence of await findCollationChanges(database.lookups)) process.stderr.write(`${sentence}\n`)
  const { applied, version } = migration
  const reached =
    applied.length > 0 ? `Applied ${applied.join(', ')}; now at version ${version}.` : `At version ${version}.`
  return { json: migration, text: role === undefined ? reached : `${reached} ${role} may serve.` }
}
