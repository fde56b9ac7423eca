import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { root } from '../../bench/support/place.ts'
import { writeCommandLinePage } from './command-line-page.ts'
import { writeHttpErrorsPage } from './http-errors-page.ts'
import type { Description } from './openapi-description.ts'
import { writePostmanCollection } from './postman-collection.ts'
import { writeSettingsPage } from './settings-page.ts'

/** Writes the Postman collection that is generated from `openapi.yaml`. */
export async function writeCollection(): Promise<string> {
  return writePostmanCollection(await readDescription())
}

async function readDescription(): Promise<Description> {
  return parse(await readFile(new URL('openapi.yaml', root), 'utf8'))
}

/** Writes the pages of the reference that need no compiler. Returns them by the names of their files. */
export async function writePages(): Promise<Record<string, string>> {
  const description = await readDescription()
  return {
    'settings.md': writeSettingsPage(),
    'command-line.md': writeCommandLinePage(),
    'http-errors.md': await writeHttpErrorsPage(description),
  }
}
