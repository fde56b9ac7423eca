// Trial: a browser shows and examines the page for half a minute
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { dialects } from '../../src/dialects/index.ts'
import { registerDevice } from '../../src/users/register-device.ts'
import { lacksBrowser, openBrowser } from '../support/browser.ts'
import { keepSecret, leakedLines } from '../support/kept-secrets.ts'
import { addClient, addUser, randomWord } from '../support/people.ts'
import { askForToken } from '../support/requests.ts'
import { listen } from '../support/sockets.ts'
import { plainOptions, testServer } from '../support/test-server.ts'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

describe.skipIf(lacksBrowser('tests/e2e/docs-page.test.ts'))('/docs in a browser', async () => {
  const { app, database } = await testServer({ docs: true, dialects: Object.values(dialects) })
  const origin = await listen(app)
  const client = await addClient(database)
  const user = await addUser(database)
  let browser: Browser
  const opened: Opened[] = []

  beforeAll(async () => {
    browser = await openBrowser()
  })
  afterAll(() => browser?.close())

  /** In every test, the pages ask no other host, break no policy, store nothing and put no secret in a URL. */
  afterEach(async () => {
    for (const { page, from, urls, complaints } of opened.splice(0)) {
      expect(urls.filter((url) => new URL(url).origin !== from)).toEqual([])
      expect(urls.some((url) => new URL(url).pathname === '/docs/static/swagger-ui-bundle.js')).toBe(true)
      expect(leakedLines([...urls, page.url()]), 'URLs with a secret in them').toEqual([])
      expect(complaints).toEqual([])
      expect(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]')).toEqual([0, 0, ''])
      await page.context().close()
    }
  })

  async function openDocs(options: BrowserContextOptions = {}, path = '/docs', from = origin): Promise<Page> {
    const page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage()
    page.setDefaultTimeout(60_000) // a machine that hashes beside it lets a page wait
    const urls: string[] = []
    const complaints: string[] = []
    page.on('request', (request) => urls.push(request.url()))
    page.on('pageerror', ({ message }) => complaints.push(message))
    page.on('console', (line) => {
      const isRefusal = line.text().startsWith('Failed to load resource: the server responded with a status of 40')
      if (['error', 'warning'].includes(line.type()) && !isRefusal) complaints.push(line.text())
    })
    opened.push({ page, from, urls, complaints })
    await page.goto(`${from}${path}`)
    await page.locator('.opblock').first().waitFor()
    return page
  }

  async function signIn(page: Page, password = user.password): Promise<void> {
    await page.locator('.scheme-container .authorize').click()
    const scheme = schemeOf(page, 'passwordGrant')
    await scheme.getByLabel('username').fill(user.name)
    await scheme.getByLabel('password', { exact: false }).first().fill(password)
    await scheme.getByLabel('client_id').fill(client.id)
    await scheme.getByLabel('client_secret').fill(client.secret)
    const answered = page.waitForResponse(`${origin}/Token`)
    await scheme.getByRole('button', { name: 'Authorize' }).click()
    const answer = await answered
    if (answer.ok()) keepSecret((await answer.json()).access_token)
  }

  async function proveClient(page: Page): Promise<void> {
    await page.locator('.scheme-container .authorize').click()
    const scheme = schemeOf(page, 'client')
    await scheme.getByLabel('Client id').fill(client.id)
    await scheme.getByLabel('Client secret').fill(client.secret)
    await scheme.getByRole('button', { name: 'Authorize' }).click()
    await page.keyboard.press('Escape')
  }

  test.each(['/docs', '/docs/'])(
    '%s: Authorize with a password, then Execute /userinfo shows the user',
    async (path) => {
      const page = await openDocs({}, path)
      await signIn(page)
      await schemeOf(page, 'passwordGrant').getByRole('button', { name: 'Close' }).click()
      const answer = await execute(page, 'whoseToken')
      expect(answer.status).toBe('200')
      expect(JSON.parse(answer.body)).toMatchObject({ userName: user.name, userId: user.id, role: user.role })
    },
  )

  test('the same works with the keyboard alone', async () => {
    const page = await openDocs()
    await tabTo(page, '.scheme-container .authorize')
    await page.keyboard.press('Enter')
    await expectFocus(page, '#oauth_username') // the dialog took the focus
    await page.keyboard.type(user.name)
    await tabTo(page, '#oauth_password')
    await page.keyboard.type(user.password)
    await tabTo(page, '#client_id_password')
    await page.keyboard.type(client.id)
    await tabTo(page, '#client_secret_password')
    await page.keyboard.type(client.secret)
    await tabTo(page, '.authorize')
    await page.keyboard.press('Enter')
    await schemeOf(page, 'passwordGrant').getByRole('button', { name: 'Logout' }).waitFor()
    await tabTo(page, '.btn-done')
    await page.keyboard.press('Enter')
    await expectFocus(page, '.scheme-container .authorize') // and gave it back
    await tabTo(page, '[id$="-whoseToken"] .opblock-summary-control')
    await page.keyboard.press('Enter')
    await operationOf(page, 'whoseToken').locator('.execute').waitFor()
    await tabTo(page, '[id$="-whoseToken"] .execute')
    await page.keyboard.press('Enter')
    const answer = await readAnswer(page, 'whoseToken')
    expect(JSON.parse(answer.body).userName).toBe(user.name)
  })

  test('Escape closes the dialog', async () => {
    const page = await openDocs()
    await page.locator('.scheme-container .authorize').click()
    await page.locator('[role=dialog]').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('[role=dialog]').waitFor({ state: 'detached' })
    await expectFocus(page, '.scheme-container .authorize')
  })

  test('the dialog reports a wrong password', async () => {
    const page = await openDocs()
    await signIn(page, 'wrong')
    const error = await schemeOf(page, 'passwordGrant').locator('.errors').innerText()
    expect(error).toContain('invalid_grant')
    expect(error).toContain('The user name or password is incorrect.')
  })

  test('a reload signs the user out', async () => {
    const page = await openDocs()
    await signIn(page)
    await page.reload()
    expect((await execute(page, 'whoseToken')).status).toBe('401')
  })

  test('a token entered by hand is sent', async () => {
    const { access_token: value } = (await askForToken(app, { client, user })).json()
    const page = await openDocs()
    await page.locator('.scheme-container .authorize').click()
    await schemeOf(page, 'bearer').getByLabel('Token').fill(value)
    await schemeOf(page, 'bearer').getByRole('button', { name: 'Authorize' }).click()
    await page.keyboard.press('Escape')
    expect((await execute(page, 'whoseToken')).status).toBe('200')
  })

  test('every endpoint that needs a client accepts one in the header', async () => {
    const page = await openDocs()
    await proveClient(page)
    const given = await execute(page, 'askForToken', { username: user.name, password: user.password })
    expect(given.status).toBe('200')
    const token = keepSecret(JSON.parse(given.body).access_token)
    const live = await execute(page, 'introspectToken', { token })
    expect(JSON.parse(live.body)).toMatchObject({ active: true, username: user.name })
    expect((await execute(page, 'revokeToken', { token })).status).toBe('200')
    await operationOf(page, 'introspectToken').getByRole('button', { name: 'Clear' }).click()
    const dead = await execute(page, 'introspectToken')
    expect(JSON.parse(dead.body)).toEqual({ active: false })
  })

  test('every endpoint that needs a client accepts one in the form', async () => {
    const page = await openDocs()
    const proof = { client_id: client.id, client_secret: client.secret }
    const given = await execute(page, 'askForToken', { username: user.name, password: user.password, ...proof })
    expect(given.status).toBe('200')
    const token = keepSecret(JSON.parse(given.body).access_token)
    expect((await execute(page, 'revokeToken', { token, ...proof })).status).toBe('200')
  })

  test('empty fields are not sent', async () => {
    const page = await openDocs()
    const asked = page.waitForRequest(`${origin}/Token`)
    await execute(page, 'askForToken', { username: 'x', password: 'y' })
    expect((await asked).postData()).toBe('grant_type=password&username=x&password=y')
  })

  test('padlocks close only after a sign-in, and only those of its scheme', async () => {
    const page = await openDocs()
    const closed = () => page.locator('.opblock:has(.authorization__btn .locked) .opblock-summary-path').allInnerTexts()
    expect(await closed()).toEqual([])
    await proveClient(page)
    expect((await closed()).map(plainly)).toEqual(['/Token', '/Token', '/introspect', '/revoke'])
  })

  test.each(['readMetadata', 'isLive', 'isReady', 'readDescription'])('%s can be tried', async (operation) => {
    const answer = await execute(await openDocs(), operation)
    expect(answer.status).toBe('200')
    expect(answer.body).toMatch(/issuer|live|ready|openapi: 3\.1\.0/)
  })

  test('every operation can be tried except the GET with a body, which says why', async () => {
    const untried = await findUntried(await openDocs())
    expect(untried).toHaveLength(1)
    expect(untried[0]).toContain('you cannot try this operation on a page')
  })

  test('an operation that is switched off says so and cannot be tried', async () => {
    const plain = await testServer({ docs: true })
    const untried = await findUntried(await openDocs({}, '/docs', await listen(plain.app)))
    const marked = untried.filter((text) => text.includes('(not switched on here)'))
    expect(marked).toHaveLength(4)
    expect(untried.filter((text) => !marked.includes(text))).toEqual([
      expect.stringContaining('you cannot try this operation on a page'),
    ])
  })

  test('Execute appears only once an operation is ready', async () => {
    const page = await openDocs()
    await page.evaluate(`
      globalThis.hasten = []
      new MutationObserver(() => {
        for (const { parentElement: body } of document.querySelectorAll('.opblock-loading-animation')) {
          hasten.push(body.querySelector('.execute')?.offsetParent ?? null)
        }
      }).observe(document.body, { childList: true, subtree: true })`)
    await openOperation(page, 'askForToken')
    await operationOf(page, 'askForToken').locator('.execute').waitFor()
    const seen = await page.evaluate<boolean[]>('hasten.map((place) => place !== null)')
    expect([...new Set(seen)]).toEqual([false])
  })

  test.each(['application/x-www-form-urlencoded', 'application/json', 'application/xml'])(
    'a session from %s, answered as XML',
    async (type) => {
      const page = await openDocs()
      await openOperation(page, 'askForSession')
      const operation = operationOf(page, 'askForSession')
      const isForm = type.endsWith('form-urlencoded') // with which the page begins
      if (!isForm) await operation.locator('.opblock-section-request-body select').first().selectOption(type)
      await operation.locator('.response-control-media-type--accept-controller select').selectOption('text/xml')
      const fields = { userName: user.name, password: user.password, clientKey: 'browser' }
      if (isForm) await fill(page, 'askForSession', fields)
      else {
        const body = operation.locator('textarea')
        const example = await body.inputValue()
        expect(example).toContain('reading-room')
        await body.fill(example.replace('ada@example.com', user.name).replace('correct horse', user.password))
      }
      const { status, body } = await execute(page, 'askForSession')
      keepSecret(/<access_token>([^<]+)/.exec(body)?.[1] ?? '')
      expect([status, body]).toEqual(['200', expect.stringContaining(`<userName>${user.name}</userName>`)])
    },
  )

  test('a sign-in in the envelope sends its token under its own scheme', async () => {
    const page = await openDocs()
    const given = await execute(page, 'askForEnvelope', { username: user.name, password: user.password })
    const { success, data } = JSON.parse(given.body)
    expect(success).toBe(true)
    await offer(page, 'tokenScheme', `Token ${keepSecret(data.access_token)}`)
    const whose = await execute(page, 'whoseToken')
    expect(JSON.parse(whose.body)).toMatchObject({ success: true, data: { userName: user.name } })
  })

  test('a device’s token is sent in its own header', async () => {
    const page = await openDocs()
    const device = { deviceKey: `device-${randomWord()}`, customerKey: keepSecret(randomWord()) }
    await registerDevice(database.writes, plainOptions.encryptionKey as Buffer, device)
    const timestamp = Math.floor(Date.now() / 1_000)
    const signature = createHmac('sha256', device.customerKey).update(`${timestamp}${device.deviceKey}`).digest('hex')
    await openOperation(page, 'signDeviceIn')
    const signed = { device_key: device.deviceKey, timestamp, device_signature: signature }
    const body = operationOf(page, 'signDeviceIn').locator('textarea')
    expect(Object.keys(JSON.parse(await body.inputValue()))).toEqual(Object.keys(signed))
    await body.fill(JSON.stringify(signed))
    const { token } = JSON.parse((await execute(page, 'signDeviceIn')).body)
    await offer(page, 'deviceToken', keepSecret(token))
    expect(JSON.parse((await execute(page, 'whoseToken')).body).userName).toBe(device.deviceKey)
  })

  test('a user lists their seats and ends one', async () => {
    const page = await openDocs()
    await signIn(page)
    await page.keyboard.press('Escape')
    const seats: { id: string; current: boolean }[] = JSON.parse((await execute(page, 'listSeats')).body)
    const id = seats.find(({ current }) => current)?.id ?? ''
    await openOperation(page, 'endSeat')
    await operationOf(page, 'endSeat').getByPlaceholder('id').fill(id)
    expect((await execute(page, 'endSeat')).status).toBe('204')
    expect((await execute(page, 'whoseToken')).status).toBe('401')
  })

  test('a refused client does not open the browser’s own password prompt', async () => {
    const page = await openDocs()
    await page.evaluate(
      'globalThis.modes = []; const send = fetch; fetch = (url, init) => (modes.push(init.credentials), send(url, init))',
    )
    expect((await execute(page, 'introspectToken', { token: 'x' })).status).toBe('401')
    expect(await page.evaluate('modes')).toEqual(['omit'])
  })

  test('the page has its own title and icon and no Swagger top bar', async () => {
    const page = await openDocs()
    expect(await page.title()).toBe('fastify-password-grant')
    expect(await page.locator('link[rel=icon]').getAttribute('href')).toMatch(/icon\.svg$/)
    expect(await page.locator('.topbar').count()).toBe(0)
    expect(await page.locator('h1, h2').first().innerText()).toContain('fastify-password-grant')
  })

  test('nothing overflows a small screen', async () => {
    const page = await openDocs({ viewport: { width: 400, height: 800 }, isMobile: true })
    await openOperation(page, 'askForToken')
    await page.locator('.scheme-container .authorize').click()
    expect(await page.evaluate('[innerWidth, document.documentElement.scrollWidth]')).toEqual([400, 400])
  })

  test('the page follows the reader’s dark mode and its changes', async () => {
    const page = await openDocs({ colorScheme: 'dark' })
    const background = () => page.evaluate<string>('getComputedStyle(document.documentElement).backgroundColor')
    expect(await background()).toBe('rgb(28, 32, 34)')
    await page.emulateMedia({ colorScheme: 'light' })
    await expect.poll(background).not.toBe('rgb(28, 32, 34)')
  })

  const looks = [
    ['light', 1280],
    ['dark', 400],
  ] as const
  test.each(looks)('axe reports no serious violation: %s, %i pixels wide', async (colorScheme, width) => {
    const page = await openDocs({ colorScheme, viewport: { width, height: 900 } })
    expect(await findSerious(page), 'closed').toEqual([])
    await page.locator('.scheme-container .authorize').click()
    await page.locator('[role=dialog]').waitFor()
    expect(await findSerious(page, '[role=dialog]'), 'the dialog').toEqual([])
    await page.keyboard.press('Escape')
    await signIn(page)
    await page.locator('[role=dialog] button:text("Logout")').waitFor()
    expect(await findSerious(page, '[role=dialog]'), 'the dialog, signed in').toEqual([])
    await page.keyboard.press('Escape')
    await openOperation(page, 'askForToken')
    await openOperation(page, 'askForTokenByGet')
    for (const operation of ['askForSession', 'askForEnvelope', 'signDeviceIn', 'endSeat']) {
      await openOperation(page, operation)
    }
    await operationOf(page, 'askForToken').locator('.execute').click() // its required fields are marked now
    expect(await findSerious(page), 'operations').toEqual([])
    await execute(page, 'whoseToken')
    await execute(page, 'revokeToken', { token: 'x' })
    expect(await findSerious(page, '.responses-wrapper'), 'answers').toEqual([])
    await page.locator('.models-control').click()
    for (const more of await page.locator('.json-schema-2020-12-expand-deep-button').all()) await more.click()
    expect(await findSerious(page, '.models'), 'schemas').toEqual([])
  })
})

/** A page and what happened on it. */
interface Opened {
  readonly page: Page
  readonly from: string
  readonly urls: readonly string[]
  readonly complaints: readonly string[]
}

function operationOf(page: Page, id: string): Locator {
  return page.locator(`.opblock[id$="-${id}"]`)
}

/** One scheme's part of the Authorize dialog. */
function schemeOf(page: Page, name: string): Locator {
  return page.locator('[role=dialog] .auth-container', {
    has: page.getByRole('heading', { name: new RegExp(`^${name}`) }),
  })
}

/** Puts a token into one scheme's part of the dialog. */
async function offer(page: Page, scheme: string, value: string): Promise<void> {
  await page.locator('.scheme-container .authorize').click()
  await schemeOf(page, scheme).getByRole('textbox').fill(value)
  await schemeOf(page, scheme).getByRole('button', { name: 'Authorize' }).click()
  await page.keyboard.press('Escape')
}

/** What stands in the operations that have no Execute. */
async function findUntried(page: Page): Promise<string[]> {
  const untried: string[] = []
  for (const operation of await page.locator('.opblock').all()) {
    await operation.locator('.opblock-summary-control').click()
    await operation.locator('.responses-wrapper').waitFor()
    if ((await operation.locator('.execute').count()) === 0) untried.push(await operation.innerText())
    await operation.locator('.opblock-summary-control').click() // a page with all of them open is slow
  }
  return untried
}

async function openOperation(page: Page, id: string): Promise<void> {
  const operation = operationOf(page, id)
  if ((await operation.locator('.opblock-body').count()) === 0)
    await operation.locator('.opblock-summary-control').click()
  await operation.locator('.opblock-body').waitFor()
  await operation.locator('.opblock-loading-animation').waitFor({ state: 'detached' })
}

/** Fills the form, executes, and reads what the page then shows. */
async function execute(page: Page, id: string, fields: Record<string, string> = {}) {
  await openOperation(page, id)
  await fill(page, id, fields)
  await operationOf(page, id).locator('.execute').click()
  return readAnswer(page, id)
}

async function fill(page: Page, id: string, fields: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) {
    await operationOf(page, id).getByLabel(name, { exact: true }).fill(value)
  }
}

async function readAnswer(page: Page, id: string): Promise<{ status: string; body: string }> {
  const answer = operationOf(page, id).locator('.live-responses-table .response')
  const status = plainly(await answer.locator('.response-col_status').innerText())
  const body = answer.locator('.response-col_description .highlight-code code')
  return { status: status.slice(0, 3), body: (await body.count()) > 0 ? await body.first().innerText() : '' }
}

/** Swagger UI puts a space of no width where a path may break. */
function plainly(text: string): string {
  return text.replaceAll('\u200b', '').trim()
}

/** Presses Tab until the focus is there; sixty presses are a keyboard trap. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab')
    if (await hasFocus(page, selector)) return
  }
  throw new Error(`Tab does not lead to ${selector}`)
}

async function expectFocus(page: Page, selector: string): Promise<void> {
  await expect
    .poll(() => hasFocus(page, selector), { message: `the focus is at ${selector}`, timeout: 30_000 })
    .toBe(true)
}

function hasFocus(page: Page, selector: string): Promise<boolean> {
  return page.evaluate<boolean>(`document.activeElement?.matches(${JSON.stringify(selector)}) ?? false`)
}

/** Serious and critical violations on the page or in a part of it, with where they are. */
async function findSerious(page: Page, part = 'html'): Promise<string[]> {
  await page.evaluate('document.getAnimations().forEach((animation) => animation.finish())') // half faded in is pale
  await page.evaluate(axe) // a script element is what the page's policy forbids
  const { violations } = await page.evaluate<AxeResults>(`axe.run('${part}', { resultTypes: ['violations'] })`)
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(' ')}`))
}
