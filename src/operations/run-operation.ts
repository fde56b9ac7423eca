import type { Query } from '../database/database.ts'
import { type Event, tellReader } from '../events.ts'
import type { Operator } from './operator.ts'

/** The result of an operation, and its event. */
export interface Outcome<T> {
  readonly result: T
  readonly event: Event
}

/**
 * Runs one operation in one transaction. Emits its event once, after the commit, even when the transaction was retried.
 */
export async function runOperation<T>(operator: Operator, work: (query: Query) => Promise<Outcome<T>>): Promise<T> {
  const { result, event } = await operator.database.transaction(work)
  tellOf(operator, event)
  return result
}

/**
 * Runs several operations in one transaction: all commit, or none does when one fails or `work` rejects. Emits their
 * events in order after the commit. `work` must use the operator that it receives; it runs again after a conflict with
 * another session. It cannot continue after a failed operation, since the failure has ended the transaction.
 */
export async function runTogether<Tools extends Operator, T>(
  operator: Tools,
  work: (operator: Tools) => Promise<T>,
): Promise<T> {
  const { result, events } = await operator.database.transaction(async (query, script) => {
    const events: Event[] = []
    const failures: unknown[] = []
    const transaction: Operator['database']['transaction'] = (nested) =>
      nested(query, script).catch((error: unknown) => {
        failures.push(error)
        throw error
      })
    const emit = (event: Event) => void events.push(event)
    const result = await work({ ...operator, database: { lookups: query, writes: query, transaction }, emit })
    if (failures.length > 0) throw failures[0]
    return { result, events }
  })
  for (const event of events) tellOf(operator, event)
  return result
}

function tellOf({ emit }: Operator, event: Event): void {
  if (emit) tellReader(emit, event)
}
