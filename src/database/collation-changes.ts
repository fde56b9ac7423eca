import type { Query } from './database.ts'

/**
 * Finds collations whose version has changed since the database or its indexes were built, because the operating system now
 * sorts differently. Returns one sentence for each, which says what to do.
 */
export async function findCollationChanges(query: Query): Promise<string[]> {
  const changes = await query<{ collation: string | null; database: string; before: string; now: string | null }>(
    'find_collation_changes',
    changesText,
  )
  return changes.map(({ collation, database, before, now }) => {
    const [what, refresh] =
      collation === null
        ? [`The collation of the database ${database}`, `alter database ${database} refresh collation version`]
        : [`The collation ${collation}, which an index uses,`, `alter collation ${collation} refresh version`]
    return (
      `${what} changed from version ${before} to ${now ?? 'none'}: indexes over text may miss rows. Keys of ` +
      'fastify-password-grant are compared byte by byte and are safe from version 6 on. For all else: ' +
      `reindex database ${database}; ${refresh}`
    )
  })
}

const changesText = `
select null as collation, quote_ident(datname) as database, datcollversion as before,
  pg_database_collation_actual_version(oid) as now
from pg_database
where datname = current_database() and datcollversion is distinct from pg_database_collation_actual_version(oid)
  and datcollversion is not null
union all
select c.oid::regcollation::text, quote_ident(current_database()), c.collversion, pg_collation_actual_version(c.oid)
from pg_collation c
where c.collversion is not null and c.collversion is distinct from pg_collation_actual_version(c.oid)
  and exists (select from pg_index where c.oid = any (indcollation::oid[]))`
