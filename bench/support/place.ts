import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { pathToFileURL } from 'node:url'

/** The path of this package, resolved by name, since these files run both as source and compiled. */
const packageFile = createRequire(import.meta.url).resolve('fastify-password-grant/package.json')

/** The folder of this repository. */
export const root = new URL('.', pathToFileURL(packageFile))

/** The path of the built product. The measurements use the files that npm would install. */
export const dist = new URL('dist/', root)

/** Imports a module of the built product, by its path in `dist/`. */
export async function importBuilt<T>(path: string): Promise<T> {
  return (await import(new URL(path, dist).href)) as T
}

/** Concurrent password checks, for the server and for the bare hashes that it is compared with. */
export const hashConcurrency = Number(process.env['HASH_CONCURRENCY']) || availableParallelism()

/** The part of our environment that every process under test receives. */
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

/** For hundreds of concurrent sign-ins, which the default settings would refuse because of a long wait. */
export const patience = { HASH_QUEUE_SECONDS: '60' } as const

/** The cost of a hash so cheap that all other work shows. */
export const trivialCost = { memoryKib: 1024, passes: 1, lanes: 1 } as const

/** The server's default cost. */
export const defaultCost = { memoryKib: 19_456, passes: 2, lanes: 1 } as const

export type Cost = { readonly memoryKib: number; readonly passes: number; readonly lanes: number }

/** Writes a cost as the server's environment variables. */
export function costVariables({ memoryKib, passes, lanes }: Cost): Record<string, string> {
  return { ARGON2_MEMORY_KIB: String(memoryKib), ARGON2_PASSES: String(passes), ARGON2_LANES: String(lanes) }
}
