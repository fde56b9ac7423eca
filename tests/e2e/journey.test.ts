import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { randomWord } from '../support/people.ts'
import { readyServer, runCommand, type ServerProcess } from '../support/processes.ts'
import { documentedFields } from '../support/requests.ts'
import { lacksTools } from '../support/tools.ts'
import { ask, whoseAt } from '../support/wire.ts'

const hasCurl = !lacksTools('tests/e2e/journey.test.ts', ['curl', '--version'])

// as the documentation of such an endpoint publishes it, a GET with a form under a JSON header
const published = [
  '--location',
  '--request',
  'GET',
  'https://sandbox.sample/Token',
  '--header',
  'Content-Type: application/json',
  '--data-urlencode',
  'grant_type=password',
  '--data-urlencode',
  'username=username',
  '--data-urlencode',
  'password=password',
]

describe('from an empty database to a token and its end', () => {
  let environment: { DATABASE_URL: string }
  let server: ServerProcess

  beforeAll(async () => {
    const { database, url } = await freshDatabase({ isMigrated: false })
    await database.close()
    environment = { DATABASE_URL: url }
    server = await readyServer({ environment })
  })

  test.skipIf(!hasCurl)(
    'the published curl command works with only host and credentials changed (needs curl)',
    async () => {
      const client = JSON.parse(await command('client', 'add', 'a-client', '--json')).client_secret
      keepSecret(client)
      const name = `ada-${randomWord()}@example.com`
      const password = keepSecret(`pä ss&w=rd+%${randomWord()}`)
      const added = await commandReading(
        `${password}\n`,
        'user',
        'add',
        name,
        '--role',
        'Administrator',
        '--password-stdin',
        '--json',
      )
      const { userId } = JSON.parse(added)

      const answer = await curl(
        published.map((word) =>
          word
            .replace('https://sandbox.sample', server.url.replace('//', `//a-client:${client}@`))
            .replace('username=username', `username=${name}`)
            .replace('password=password', `password=${password}`),
        ),
      )
      expect(Object.keys(answer)).toEqual(documentedFields)
      expect(answer).toMatchObject({
        token_type: 'bearer',
        expires_in: 1_209_600,
        userName: name,
        userId,
        role: 'Administrator',
      })
      const token = keepSecret(String(answer['access_token']))

      const whose = await curl(['--header', `Authorization: Bearer ${token}`, `${server.url}/userinfo`])
      expect(whose).toEqual({
        userName: name,
        userId,
        role: 'Administrator',
        '.issued': answer['.issued'],
        '.expires': answer['.expires'],
      })

      await command('user', 'disable', name)
      const ended = await whoseAt(server.url, token)
      expect(ended.status).toBe(401)
      expect(ended.body).toEqual({ error: 'invalid_token', error_description: 'The token was revoked. Sign in again.' })
      expect(ended.headers.get('www-authenticate')).toBe(
        'Bearer realm="password-grant", error="invalid_token", error_description="The token was revoked. Sign in again."',
      )
    },
  )

  test('a server that knows only its database has migrated it and is ready', async () => {
    expect((await ask(`${server.url}/health/ready`)).body).toEqual({ status: 'ready' })
    expect(server.lines.map((line) => JSON.parse(line).event)).toContain('migration')
  })

  async function command(...args: string[]): Promise<string> {
    return commandReading('', ...args)
  }

  async function commandReading(input: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCommand(args, { environment, input })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
})

async function curl(args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)('curl', ['--silent', '--show-error', '--max-time', '30', ...args])
  return JSON.parse(stdout)
}
