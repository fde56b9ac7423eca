// Any PostgreSQL: a start warns about settings
import { createServer } from 'node:net'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { fillFolder } from '../support/made-folder.ts'
import { readyServer, type StartingServer, startServer } from '../support/processes.ts'

const plainHttp = /beyond loopback.*TRUST_PROXY/
const weakHashes = /ARGON2_\* is below what OWASP advises/

// an address kept for documentation (RFC 5737): no machine has it, so warnings are given and then listening fails
const beyondLoopback = '192.0.2.1'
const strong = { ARGON2_MEMORY_KIB: '19456', ARGON2_PASSES: '2' }

describe('a start', () => {
  let environment: Record<string, string>

  beforeAll(async () => {
    const { database, url } = await freshDatabase()
    await database.close()
    environment = { DATABASE_URL: url, ...strong }
  })

  test('with the advised settings warns of nothing', async () => {
    const server = await readyServer({ environment })
    expect(warnings(server)).toEqual([])
    await server.end()
  })

  test.each([
    ['too little memory', { ARGON2_MEMORY_KIB: '19455' }],
    ['too few passes', { ARGON2_PASSES: '1' }],
  ])('warns of password hashes with %s', async (_what, weak) => {
    const server = await readyServer({ environment: { ...environment, ...weak } })
    expect(warnings(server)).toEqual([expect.stringMatching(weakHashes)])
    await server.end()
  })

  test('does not warn of an alternative that OWASP lists', async () => {
    const other = { ARGON2_MEMORY_KIB: '12288', ARGON2_PASSES: '3' }
    const server = await readyServer({ environment: { ...environment, ...other } })
    expect(warnings(server)).toEqual([])
    await server.end()
  })

  const known = { PUBLIC_URL: 'https://tokens.example.com' }

  test('beyond loopback warns of plain HTTP', async () => {
    const starting = startServer({ environment: { ...environment, ...known, HOST: beyondLoopback } })
    expect(await starting.exited).toBe(1)
    expect(warnings(starting)).toEqual([expect.stringMatching(plainHttp)])
    expect(starting.stderr()).toContain(beyondLoopback)
  })

  test('beyond loopback behind a named proxy does not warn of plain HTTP', async () => {
    const proxied = { ...known, HOST: beyondLoopback, TRUST_PROXY: '10.0.0.0/8' }
    const starting = startServer({ environment: { ...environment, ...proxied } })
    expect(await starting.exited).toBe(1)
    expect(warnings(starting)).toEqual([])
  })

  test('beyond loopback warns of metadata with an address that others may be unable to reach', async () => {
    const starting = startServer({ environment: { ...environment, HOST: beyondLoopback, TRUST_PROXY: '10.0.0.0/8' } })
    expect(await starting.exited).toBe(1)
    expect(warnings(starting)).toEqual([expect.stringMatching(/PUBLIC_URL is not set/)])
  })

  test.each(['localhost', '127.0.0.1', '127.0.0.2'])('on %s does not warn of the metadata address', async (host) => {
    const server = await readyServer({ environment: { ...environment, HOST: host } })
    expect(warnings(server)).toEqual([])
    await server.end()
  })

  test.each(['postgres', 'embedded'])('with a taken port reports it and exits with 1 (%s)', async (kind) => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await new Promise((resolve) => taken.once('listening', resolve))
    const address = taken.address()
    const PORT = String(typeof address === 'object' && address ? address.port : 0)
    const where = kind === 'postgres' ? environment : { EMBEDDED_FOLDER: await fillFolder(await temporaryFolder()) }
    const starting = startServer({ environment: { ...where, PORT } })
    expect(await starting.exited).toBe(1)
    expect(starting.stderr()).toMatch(new RegExp(`^[^\\n]*EADDRINUSE[^\\n]*${PORT}\\n$`))
  })
})

function warnings({ lines }: Pick<StartingServer, 'lines'>): string[] {
  return lines.map((line) => JSON.parse(line)).flatMap(({ level, msg }) => (level >= 40 ? [msg] : []))
}
