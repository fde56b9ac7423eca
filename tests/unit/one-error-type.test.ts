import { expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'

/** Loads the module a second time, as another package with the same code would. */
async function loadAnotherCopy(): Promise<typeof OAuthError> {
  const path = '../../src/errors.ts?copy' // a path that the compiler does not follow
  const copy: typeof import('../../src/errors.ts') = await import(path)
  return copy.OAuthError
}

class OwnError extends OAuthError {}

test('a refusal is an OAuthError of every loaded copy of the code', async () => {
  const Another = await loadAnotherCopy()
  expect(Another).not.toBe(OAuthError)
  expect(new Another('invalid_token', 'No.')).toBeInstanceOf(OAuthError)
  expect(new OAuthError('invalid_token', 'No.')).toBeInstanceOf(Another)
  expect(new OwnError('invalid_token', 'No.')).toBeInstanceOf(Another)
})

test('no other error is an OAuthError, even with the same name and fields', () => {
  const lookalike = Object.assign(new Error('No.'), { name: 'OAuthError', code: 'invalid_token', status: 401 })
  for (const other of [lookalike, { ...new OAuthError('invalid_token', 'No.') }, null, undefined, 'OAuthError', {}]) {
    expect(other instanceof OAuthError).toBe(false)
  }
})

test('a class that extends it has its own instances only', async () => {
  const Another = await loadAnotherCopy()
  expect(new OwnError('invalid_token', 'No.')).toBeInstanceOf(OwnError)
  expect(new OAuthError('invalid_token', 'No.')).not.toBeInstanceOf(OwnError)
  expect(new Another('invalid_token', 'No.')).not.toBeInstanceOf(OwnError)
})

test('the mark of an OAuthError is not among its fields', () => {
  const error = new OAuthError('invalid_token', 'No.')
  expect(Object.getOwnPropertySymbols(error)).toEqual([])
})
