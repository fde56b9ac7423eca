// Trial: lists thirty thousand rows, again and again
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { binPath, runCommand } from '../support/processes.ts'
import { runOn } from '../support/test-cluster.ts'

const rows = 30_000

describe(`with ${rows.toLocaleString('en')} users, tokens, clients and devices`, () => {
  let url: string
  let environment: Record<string, string>

  beforeAll(async () => {
    const fresh = await freshDatabase()
    url = fresh.url
    environment = { DATABASE_URL: url }
    const count = `generate_series(1, ${rows}) n`
    await runOn(url, [
      `insert into password_grant.clients (id, is_public) select 'client-' || n, true from ${count}`,
      `insert into password_grant.users (id, name, name_key) select gen_random_uuid(), 'user-' || n, 'user-' || n from ${count}`,
      `insert into password_grant.tokens (id, user_id, device, client_id, secret_hash, issued_at, expires_at)
      select gen_random_uuid(), id, label, 'client-1', sha256(name::bytea), now(), now() + interval '1 day'
      from password_grant.users, unnest(case when name = 'user-7' then array['', 'phone', 'till'] else array[''] end) label`,
      `insert into password_grant.devices (user_id, device_key, customer_key)
      select id, name, sha256(name::bytea) from password_grant.users`,
      'analyze password_grant.users, password_grant.tokens',
    ])
    return () => fresh.database.close()
  })

  test.each([
    [['user', 'list'], 'userName', rows],
    [['token', 'list'], 'id', rows + 2],
    [['client', 'list'], 'client_id', rows + 3],
    [['device', 'list'], 'device_key', rows],
  ])('%j prints each row once, as one JSON document or as a table with a heading', async (command, field, count) => {
    const asJson = await runCommand([...command, '--json'], { environment })
    const names = JSON.parse(asJson.stdout).map((row: Record<string, unknown>) => row[field])
    expect({ code: asJson.code, all: names.length, different: new Set(names).size }).toEqual({
      code: 0,
      all: count,
      different: count,
    })
    expect(asJson.stdout.split('\n')).toHaveLength(count + 1)
    const forPeople = await runCommand(command, { environment })
    expect(forPeople.stdout.split('\n')).toHaveLength(count + 2)
  })

  test('the tokens of one user are listed alike', async () => {
    const { stdout } = await runCommand(['token', 'list', '--user', 'user-7', '--json'], { environment })
    expect(JSON.parse(stdout).map(({ device }: { device: string }) => device)).toEqual(['', 'phone', 'till'])
    const none = await runCommand(['token', 'list', '--user', 'user-8'], { environment })
    expect(none.stdout.split('\n')).toHaveLength(3)
  })

  test.each([[['user', 'list']], [['token', 'list', '--json']]])(
    '%j ends early and silently when its reader leaves',
    async (command) => {
      const { child, ended } = start(command)
      let heard = ''
      child.stderr?.on('data', (text) => {
        heard += text
      })
      await once(child.stdout as never, 'data')
      child.stdout?.destroy()
      expect({ code: await ended, heard }).toEqual({ code: 0, heard: '' })
    },
  )

  test('a slow reader leaves the rows in the database, out of memory and without a transaction', async () => {
    const { child, ended } = start(['token', 'list', '--json'])
    await once(child.stdout as never, 'readable')
    await new Promise((resolve) => setTimeout(resolve, 500))
    const [open] = await runOn(url, [
      `select count(*)::integer as count from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null`,
    ])
    expect(open).toEqual({ count: 0 })
    expect(await residentMib(child.pid ?? 0)).toBeLessThan(200)
    child.stdout?.resume()
    expect(await ended).toBe(0)
  })

  function start(command: readonly string[]): { child: ChildProcess; ended: Promise<number | null> } {
    const child = spawn(process.execPath, [binPath, ...command], { env: { PATH: process.env['PATH'], ...environment } })
    return { child, ended: once(child, 'close').then(([code]) => code) }
  }
})

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
}
