import { device } from './device.ts'
import type { Dialect } from './dialect.ts'
import { envelope } from './envelope.ts'
import { webapi } from './webapi.ts'
import { webapiSession } from './webapi-session.ts'

/** All dialects by name. */
export const dialects = { webapi, 'webapi-session': webapiSession, envelope, device } as const satisfies Readonly<
  Record<string, Dialect>
>

/** Finds two dialects on the same path, ignoring letter case and a slash at the end; null when there are none. */
export function findSharedPath(mounted: readonly Dialect[]): { path: string; names: [string, string] } | null {
  const seen = new Map<string, string>()
  for (const { path, name } of mounted) {
    const key = path.toLowerCase().replace(/\/$/, '')
    const other = seen.get(key)
    if (other !== undefined) return { path, names: [other, name] }
    seen.set(key, name)
  }
  return null
}
