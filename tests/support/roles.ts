import { afterAll, inject } from 'vitest'
import { keepSecret } from './kept-secrets.ts'
import { randomWord } from './people.ts'
import { runOn } from './test-cluster.ts'

/** A role that may log in and has no other right of its own. */
export interface Role {
  readonly name: string
  /** The same database as this role sees it. */
  urlOf(databaseUrl: string): string
}

/** Creates a role of the cluster and drops it after the test file, after everything that it owns in `databaseUrl`. */
export async function makeRole(databaseUrl: string, nameStart: string): Promise<Role> {
  const name = `${nameStart}_${randomWord()}`
  const password = keepSecret(randomWord())
  const quoted = `"${name.replaceAll('"', '""')}"`
  await runOn(inject('clusterUrl'), [`create role ${quoted} login password '${password}'`])
  afterAll(async () => {
    await runOn(databaseUrl, [`drop owned by ${quoted} cascade`, `drop role ${quoted}`])
  })
  return {
    name,
    urlOf: (url) => {
      const changed = new URL(url)
      changed.username = encodeURIComponent(name)
      changed.password = password
      return changed.href
    },
  }
}
