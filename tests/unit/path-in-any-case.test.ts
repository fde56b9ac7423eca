import Fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { pathInAnyCase } from '../../src/http/path-pattern.ts'

/** Whether a route for `path` answers at `url`, on a host with these settings. */
async function matches(path: string, url: string, routerOptions: object = {}): Promise<boolean> {
  const app = Fastify({ routerOptions })
  app.get(pathInAnyCase(path), async () => 'here')
  return (await app.inject({ method: 'GET', url })).statusCode === 200
}

describe('a path', () => {
  test.each([
    ['/Token', '/Token'],
    ['/Token', '/token'],
    ['/Token', '/TOKEN'],
    ['/Token', '/tOkEn'],
    ['/Token', '/Token?x=1'],
    ['/v1/oauth', '/V1/OAuth'],
    ['/v1/oauth/', '/V1/OAuth/'],
    ['/2/a.b-c_d~e', '/2/A.B-C_D~E'],
    ['/1/2', '/1/2'],
  ])('%s is found at %s', async (path, url) => {
    expect(await matches(path, url)).toBe(true)
    expect(await matches(path, url, { caseSensitive: false })).toBe(true)
  })

  test.each([
    ['/Token', '/Token2'],
    ['/Token', '/aToken'],
    ['/Token', '/Toke'],
    ['/Token', '/Token/'],
    ['/Token', '/Token/x'],
    ['/Token', '/x/Token'],
    ['/Token', '/'],
    ['/Token', '/To\u212Aen'], // the Kelvin sign is a K to some
    ['/a.b', '/axb'],
    ['/a.b', '/a..b'],
    ['/v1/oauth', '/v1oauth'],
    ['/v1/oauth/', '/v1/oauth'],
  ])('%s is not found at %s', async (path, url) => {
    expect(await matches(path, encodeURI(url))).toBe(false)
  })
})
