import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { toConnectOutage, toOutage } from '../../src/database/to-outage.ts'

function databaseError(sqlState: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('its own words', 0, 'error'), { code: sqlState })
}

describe('an outage reported by the database', () => {
  test.each([
    ['08006', 'database away'],
    ['0A000', 'database in conflict'],
    ['25006', 'database read-only'],
    ['25P03', 'database away'],
    ['26000', 'database away'],
    ['28P01', 'database away'],
    ['3D000', 'database away'],
    ['3F000', 'database not migrated'],
    ['40001', 'database in conflict'],
    ['40P01', 'database in conflict'],
    ['42501', 'database without rights'],
    ['42P01', 'database not migrated'],
    ['42P05', 'database away'],
    ['42883', 'database not migrated'],
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

  test.each(['22021', '23505', '42601', '42703', '54000', '55000', 'P0001', 'XX000', 'XX001'])(
    'does not include %s, which is an answer or a fault of this program',
    (sqlState) => {
      const error = databaseError(sqlState)
      expect(toOutage(error)).toBe(error)
    },
  )
})

describe('a full queue of notifications', () => {
  test('is an outage, unlike the other meanings of its SQLSTATE', () => {
    const full = Object.assign(databaseError('54000'), { file: 'async.c' })
    expect(toOutage(full)).toMatchObject({ code: 'temporarily_unavailable', reason: 'database full: its own words' })
    const tooLong = Object.assign(databaseError('54000'), { file: 'nbtutils.c' })
    expect(toOutage(tooLong)).toBe(tooLong)
  })
})

describe('a failed connection attempt is an outage', () => {
  test.each([
    ['55000', 'database away'],
    ['42501', 'database without rights'],
    ['28P01', 'database away'],
    ['3D000', 'database away'],
    ['53300', 'database overloaded'],
    ['57P03', 'database away'],
    ['0A000', 'database in conflict'],
    ['22023', 'database away'],
    ['XX000', 'database away'],
  ])('%s: %s', (sqlState, reason) => {
    expect(toConnectOutage(databaseError(sqlState))).toMatchObject({
      code: 'temporarily_unavailable',
      reason: `${reason}: its own words`,
    })
  })
})

describe('an outage reported by the driver', () => {
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
