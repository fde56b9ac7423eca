import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const given = process.env['CHROMIUM']
const places = given ? [given] : ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executable = places.find((path) => existsSync(path))

/** Whether a test file that needs a browser is to be left out, said on stderr. Never in CI: there it has to fail. */
export function lacksBrowser(file: string): boolean {
  if (executable !== undefined || process.env['CI']) return false
  process.stderr.write(`${file} is skipped: it needs Chromium; install it or name one in CHROMIUM\n`)
  return true
}

/** A Chromium without a window; the caller closes it. */
export async function openBrowser(): Promise<Browser> {
  if (executable === undefined) throw new Error('There is no Chromium here: install it or name one in CHROMIUM.')
  const isRoot = process.getuid?.() === 0 // whom its sandbox refuses
  return chromium.launch({ executablePath: executable, args: isRoot ? ['--no-sandbox'] : [] })
}
