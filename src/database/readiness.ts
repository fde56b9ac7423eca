import { batchLookups, oneAtATime } from './batch-lookups.ts'
import type { Query } from './database.ts'
import { schemaState } from './migrate.ts'

/** Finds why the database cannot serve requests, as a text for the operator, or null if it can. Never rejects. */
export type FindProblem = () => Promise<string | null>

/** Creates a readiness check. One check at a time answers all callers that arrived before it started. */
export function createReadinessCheck(query: Query): FindProblem {
  const check = batchLookups(async () => {
    const problem = (await findProblem(query)) && (await findProblem(query)) // twice, since one slow answer is not an outage
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
