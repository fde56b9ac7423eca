import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { toOutage } from '../../src/database/to-outage.ts'

function databaseError(sqlState: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('its own words', 0, 'error'), { code: sqlState })
}

describe('what the database says is an outage', () => {
  test.each([
    ['08006', 'database away'],
    ['25006', 'database read-only'],
    ['25P03', 'database away'],
    ['26000', 'database away'],
    ['28P01', 'database away'],
    ['3D000', 'database away'],
    ['3F000', 'database away'],
    ['40001', 'database in conflict'],
    ['40P01', 'database in conflict'],
    ['42P01', 'database away'],
    ['42883', 'database away'],
    ['53100', 'database full'],
    ['53200', 'database overloaded'],
    ['53300', 'database overloaded'],
    ['55P03', 'database slow'],
    ['57014', 'database slow'],
    ['57P01', 'database away'],
    ['57P03', 'database away'],
    ['58030', 'database away'],
  ])('%s: %s', (sqlState, reason) => {
    expect(toOutage(databaseError(sqlState))).toMatchObject({
      code: 'temporarily_unavailable',
      retryAfterSeconds: 1,
      reason: `${reason}: its own words`,
    })
  })

  test.each(['22021', '23505', '42501', '42703', 'XX000'])(
    '%s is none: it is an answer, or a mistake of ours',
    (sqlState) => {
      const error = databaseError(sqlState)
      expect(toOutage(error)).toBe(error)
    },
  )
})

describe('what the driver says is an outage', () => {
  test.each([
    ['Query read timeout', 'database slow'],
    ['timeout exceeded when trying to connect', 'database slow'],
    ['Connection terminated due to connection timeout', 'database slow'],
    ['Connection terminated unexpectedly', 'database away'],
    ['connect ECONNREFUSED 127.0.0.1:5432', 'database away'],
  ])('%s: %s', (message, reason) => {
    expect(toOutage(new Error(message))).toMatchObject({
      code: 'temporarily_unavailable',
      reason: `${reason}: ${message}`,
    })
  })
})
