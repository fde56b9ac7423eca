import type { Dialect } from './dialect.ts'
import { webapi } from './webapi.ts'

/** Every dialect by its name. */
export const dialects: Readonly<Record<string, Dialect>> = { webapi }
