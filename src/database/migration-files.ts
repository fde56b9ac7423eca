import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../sql/', import.meta.url)

/** A migration `NNN.do.words.sql`, or its online steps `NNN.online.words.sql`, which run before it without a transaction. */
export interface MigrationFile {
  readonly version: number
  readonly words: string
  readonly text: string
  /** MD5 of the text, which `password_grant.migrations` stores to detect edits of an applied file. */
  readonly md5: string
}

/**
 * The newest schema version that this code knows: the highest number in `sql/`. It is 0 if the folder is missing, so that a
 * program that never migrates can still load this module.
 */
export const codeVersion = Math.max(0, ...listNames().map((name) => readVersion(name)))

/**
 * Reads the migrations or the online steps, in order. Throws Error if a migration is missing.
 */
export function readMigrationFiles(kind: 'do' | 'online'): MigrationFile[] {
  const names = listNames().filter((name) => name.split('.')[1] === kind)
  const files = names.map(readFile).toSorted((one, other) => one.version - other.version)
  if (kind === 'do' && (files.length === 0 || files.some(({ version }, index) => version !== index + 1))) {
    throw new Error(`The folder ${fileURLToPath(folder)} lacks migrations: reinstall this version.`)
  }
  return files
}

function listNames(): string[] {
  try {
    return readdirSync(folder).filter((name) => /^\d+\.\w+\..*sql$/.test(name))
  } catch {
    return []
  }
}

function readVersion(name: string): number {
  return Number.parseInt(name, 10)
}

function readFile(name: string): MigrationFile {
  const text = readFileSync(new URL(encodeURIComponent(name), folder), 'utf8')
  const words = name.split('.').slice(2, -1).join('.')
  return { version: readVersion(name), words, text, md5: createHash('md5').update(text).digest('hex') }
}
