// Trial: installs a site generator, builds the site, and shows its pages in a browser
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AxeResults } from 'axe-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { lacksBrowser, openBrowser } from '../support/browser.ts'
import { runNpm } from '../support/run-npm.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const site = join(repository, 'site/.vitepress/dist')
const host = 'docs.example'
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The front page, a guide with a diagram, a page of long tables, and one with code of several languages. */
const pages = ['/', '/guides/several-servers.html', '/reference/settings.html', '/guides/plugin.html']
const widths = [1280, 390]

describe.skipIf(lacksBrowser('site.test.ts'))('the documentation as a site', () => {
  let browser: Browser

  beforeAll(async () => {
    await runNpm(repository, 'run', 'docs')
    browser = await openBrowser()
  }, 240_000)

  afterAll(() => browser?.close())

  /** A browser that finds nothing but the built files, and the requests that it did not find there. */
  async function openContext(options: BrowserContextOptions): Promise<{ context: BrowserContext; unmet: string[] }> {
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    onTestFinished(() => context.close())
    const unmet: string[] = []
    await context.route('**', async (route) => {
      const { href, hostname, pathname } = new URL(route.request().url())
      const file = join(site, pathname.endsWith('/') ? `${pathname}index.html` : pathname)
      if (hostname === host && existsSync(file)) return route.fulfill({ path: file })
      unmet.push(href)
      return route.abort()
    })
    return { context, unmet }
  }

  async function openPage(context: BrowserContext, path: string): Promise<Page> {
    const page = await context.newPage()
    await page.goto(`https://${host}${path}`, { waitUntil: 'networkidle' })
    return page
  }

  describe.each(widths)('at %i pixels', (width) => {
    const viewport = { width, height: 800 }

    test.each(['light', 'dark'] as const)('%s pages can be read by all, and ask no other host', async (colorScheme) => {
      const { context, unmet } = await openContext({ viewport, colorScheme })
      const opened = await Promise.all(pages.map((path) => openPage(context, path)))
      for (const [index, page] of opened.entries()) {
        expect(await findFaults(page), pages[index]).toEqual([])
        expect(await hasColors(page, colorScheme), pages[index]).toBe(true)
      }
      expect(unmet).toEqual([])
    })

    test('a search leads to the page that has the words', async () => {
      const { context, unmet } = await openContext({ viewport })
      const page = await openPage(context, '/')
      await page.locator('.VPNavBarSearch button').click()
      await page.getByRole('searchbox').fill('TOKEN_LIFETIME_SECONDS')
      await page.locator('#localsearch-list [role=option] a[href*="/reference/settings.html"]').first().click()
      await page.waitForURL(/\/reference\/settings\.html#/)
      await page.getByRole('heading', { level: 1, name: 'Settings' }).waitFor()
      expect(unmet).toEqual([])
    })
  })

  test('a link in the text leads to another page', async () => {
    const { context, unmet } = await openContext({ viewport: { width: 1280, height: 800 } })
    const page = await openPage(context, '/security.html')
    await page.locator('main a[href$="threat-model.html"]').first().click()
    await page.waitForURL(/\/security\/threat-model\.html/)
    await page.getByRole('heading', { level: 1, name: 'Threat model' }).waitFor()
    expect(unmet).toEqual([])
  })

  test('every link within the site leads to a page or a file of it', () => {
    const files = readdirSync(site, { recursive: true }).map(String)
    const links = files.filter((file) => file.endsWith('.html')).flatMap((file) => readLinks(file))
    const paths = new Set(links.map((link) => (link.endsWith('/') ? `${link}index.html` : link)))
    expect(paths.size).toBeGreaterThan(20)
    expect([...paths].filter((path) => !existsSync(join(site, path)))).toEqual([])
  })
})

/** Paths of the site that a page names, without their anchors. */
function readLinks(file: string): string[] {
  const html = readFileSync(join(site, file), 'utf8')
  return [...html.matchAll(/ (?:href|src)="(\/[^"#]*)/g)].map(([, path]) => decodeURI(path ?? ''))
}

/** Parts that reach beyond the screen, images that are not shown, and what keeps some people from reading a page. */
async function findFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate<AxeResults>(`axe.run('html', { resultTypes: ['violations'] })`)
  const excess = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
  const unseen = await page.evaluate<string[]>(
    '[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)',
  )
  return [
    ...(excess > 0 ? [`${excess} pixels too wide`] : []),
    ...unseen.map((url) => `not shown: ${url}`),
    ...violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`)),
  ]
}

/** Whether a page is dark on light, or light on dark. */
async function hasColors(page: Page, scheme: 'light' | 'dark'): Promise<boolean> {
  const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
  const [red = 0] = /\d+/.exec(background)?.map(Number) ?? []
  return red > 127 === (scheme === 'light')
}
