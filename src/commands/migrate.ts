import type { Database } from '../database/database.ts'
import { type Migration, migrate } from '../database/migrate.ts'
import type { Answer } from './answer.ts'

/** `migrate`: brings the schema up to this version. */
export async function migrateCommand(database: Database): Promise<Answer> {
  const migration: Migration = await migrate(database)
  const { applied, version } = migration
  const text =
    applied.length > 0 ? `Applied ${applied.join(', ')}; now at version ${version}.` : `At version ${version}.`
  return { json: migration, text }
}
