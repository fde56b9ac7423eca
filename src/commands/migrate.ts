import { findCollationChanges } from '../database/collation-changes.ts'
import type { Database } from '../database/database.ts'
import { grantTo } from '../database/grant-to.ts'
import { type Migration, migrate } from '../database/migrate.ts'
import type { Answer } from './answer.ts'
import { tell } from './tell.ts'

/** Migrates the schema to this version, and gives `role` the rights that a server needs. */
export async function migrateCommand(database: Database, role: string | undefined): Promise<Answer> {
  const migration: Migration = await migrate(database)
  if (role !== undefined) await grantTo(database, role)
  for (const sentence of await findCollationChanges(database.lookups)) tell(sentence)
  const { applied, version } = migration
  const reached =
    applied.length > 0 ? `Applied ${applied.join(', ')}; now at version ${version}.` : `At version ${version}.`
  return { json: migration, text: role === undefined ? reached : `${reached} ${role} may serve.` }
}
