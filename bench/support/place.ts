import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { pathToFileURL } from 'node:url'

/** This package, found by its own name, since these files run both as source and compiled. */
const packageFile = createRequire(import.meta.url).resolve('fastify-password-grant/package.json')

/** The folder of this repository. */
export const root = new URL('.', pathToFileURL(packageFile))

/** The built product: the measurements use the files that npm would install. */
export const dist = new URL('dist/', root)

/** A module of the built product, by its path in `dist/`. */
export async function importBuilt<T>(path: string): Promise<T> {
  return (await import(new URL(path, dist).href)) as T
}

/** Password checks at once, for the server and for the bare hashes it is compared with. */
export const hashConcurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()

/** What every process under test gets to see of our environment. */
export function childEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'NODE_OPTIONS']
  const inherited = Object.fromEntries(kept.flatMap((name) => [[name, process.env[name] ?? '']]))
  return {
    ...Object.fromEntries(Object.entries(inherited).filter(([, value]) => value !== '')),
    HASH_CONCURRENCY: String(hashConcurrency),
    UV_THREADPOOL_SIZE: String(hashConcurrency + 2),
    ...extra,
  }
}

/** For hundreds of sign-ins at once: whoever is likely to wait long would be refused otherwise. */
export const patience = { HASH_QUEUE_SECONDS: '60' } as const

/** The cost that makes a hash so cheap that everything around it shows. */
export const trivialCost = { memoryKib: 1024, passes: 1, lanes: 1 } as const

/** The server's default. */
export const defaultCost = { memoryKib: 19_456, passes: 2, lanes: 1 } as const

export type Cost = { readonly memoryKib: number; readonly passes: number; readonly lanes: number }

/** A cost as the server's variables. */
export function costVariables({ memoryKib, passes, lanes }: Cost): Record<string, string> {
  return { ARGON2_MEMORY_KIB: String(memoryKib), ARGON2_PASSES: String(passes), ARGON2_LANES: String(lanes) }
}
