import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../sql/', import.meta.url)

/** A file `NNN.do.words.sql`, or `NNN.online.words.sql` for the steps before it that run without a transaction. */
export interface MigrationFile {
  readonly version: number
  readonly words: string
  readonly text: string
  /** MD5 of the text, as `password_grant.migrations` keeps it: an applied file is never edited. */
  readonly md5: string
}

/**
 * The newest schema that this code knows: the highest number in `sql/`. 0 where an installation lacks the folder, so that a
 * program that never migrates can still load.
 */
export const codeVersion = Math.max(0, ...listNames().map((name) => readVersion(name)))

/**
 * Reads the migrations, or the steps before them, in order. The folder's path is never a pattern. Throws Error when a
 * migration is missing.
 */
export function readMigrationFiles(kind: 'do' | 'online'): MigrationFile[] {
  const names = listNames().filter((name) => name.split('.')[1] === kind)
  const files = names.map(readFile).toSorted((one, other) => one.version - other.version)
  if (kind === 'do' && (files.length === 0 || files.some(({ version }, index) => version !== index + 1))) {
    throw new Error(`The folder ${fileURLToPath(folder)} lacks migrations: install this version again.`)
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
