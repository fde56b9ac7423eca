import { batchLookups, oneAtATime } from './batch-lookups.ts'
import type { Query } from './database.ts'
import { schemaState } from './migrate.ts'

/** Returns why the database cannot serve requests, in words for an operator; null where it can. Never rejects. */
export type FindProblem = () => Promise<string | null>

/** Creates a check of readiness. One check at a time answers all callers that came before it. */
export function createReadinessCheck(query: Query): FindProblem {
  const check = batchLookups(async () => {
    const problem = (await findProblem(query)) && (await findProblem(query)) // a busy moment is no outage
    return new Map([[key, problem]])
  }, oneAtATime)
  return () =>
    check(key).then(
      (problem) => problem ?? null,
      () => away,
    )
}

const key = 'problem'
const away = 'the database is away'

async function findProblem(query: Query): Promise<string | null> {
  try {
    const state = await schemaState(query)
    return state === 'current' ? null : `the database is ${state}`
  } catch {
    return away
  }
}
