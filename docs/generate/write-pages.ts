import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { root } from '../../bench/support/place.ts'
import { writeCommandLinePage } from './command-line-page.ts'
import { type Description, writeHttpErrorsPage } from './http-errors-page.ts'
import { writeSettingsPage } from './settings-page.ts'

/** Writes the pages of the reference that need no compiler. Returns them by the names of their files. */
export async function writePages(): Promise<Record<string, string>> {
  const description: Description = parse(await readFile(new URL('openapi.yaml', root), 'utf8'))
  return {
    'settings.md': writeSettingsPage(),
    'command-line.md': writeCommandLinePage(),
    'http-errors.md': writeHttpErrorsPage(description),
  }
}
