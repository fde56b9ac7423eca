// Any PostgreSQL: what a terminal shows does not depend on it
import { spawnSync } from 'node:child_process'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../support/fresh-database.ts'
import { temporaryFolder } from '../support/installations.ts'
import { keepSecret } from '../support/kept-secrets.ts'
import { randomWord } from '../support/people.ts'
import { bareEnvironment, binPath } from '../support/processes.ts'
import { lacksTools, toolPath } from '../support/tools.ts'
import { warmCommands } from '../support/warm-commands.ts'

const hasTerminal = !lacksTools('tests/e2e/terminal.test.ts', ['script', '--version'])
const runWarm = warmCommands()
const columns = 80
const esc = String.fromCharCode(27)

describe('--help', () => {
  test('of every command keeps to 80 columns', async () => {
    const pages = await helpPages([])
    expect(pages.length).toBeGreaterThan(25)
    for (const { command, text } of pages) expect(tooLong(text), command).toEqual([])
  })

  test('lists --version on the first page alone', async () => {
    const pages = await helpPages([])
    const listing = pages.filter(({ text }) => text.includes('--version')).map(({ command }) => command)
    expect(listing).toEqual([''])
  })
})

describe('a mistyped word', () => {
  test.each([
    ['sevre', 'error: unknown command', 'serve'],
    ['user lst', 'error: unknown command', 'list'],
    ['serve --prot 80', 'error: unknown option', '--port'],
    ['user list --jsno', 'error: unknown option', '--json'],
  ])('as in `%s` gets a suggestion', async (args, error, suggestion) => {
    const { code, stdout, stderr } = await runWarm(args.split(' '))
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(error)
    expect(stderr).toContain(`(Did you mean ${suggestion}?)`)
  })
})

describe('text that no terminal reads', () => {
  test('has no colours', async () => {
    for (const args of ['--help', 'user --help', 'sevre', 'serve --port x']) {
      const { stdout, stderr } = await runWarm(args.split(' '))
      expect(stdout + stderr).not.toContain(esc)
    }
  })

  test('has each wrong setting on one line, however long', async () => {
    const { stderr } = await runWarm(['serve', '--port', 'x'], { environment: { DIALECTS: 'device' } })
    expect(stderr).toMatch(/^ {2}ENCRYPTION_KEY: .{80,}$/m)
  })
})

describe.skipIf(!hasTerminal)('text on a terminal of 80 columns', () => {
  const folder = temporaryFolder

  test('is coloured, and plain with NO_COLOR', async () => {
    const coloured = onTerminal('client add --help', { cwd: await folder() })
    expect(coloured).toContain(`${esc}[36m--lifetime <seconds>${esc}[39m`)
    const plain = onTerminal('client add --help', { cwd: await folder(), environment: { NO_COLOR: '1' } })
    expect(plain).not.toContain(esc)
    expect(plain).toBe(withoutColours(coloured))
  })

  test.each([
    ['wrong settings', 'serve --port x', { DIALECTS: 'device', LOG_LEVEL: 'loud' }],
    ['an error', 'user list --embedded nowhere-to-be-found', {}],
    ['a wrong option', 'client rotate first --overlap soon', {}],
  ])('wraps %s between words', async (_what, args, environment) => {
    const text = onTerminal(args, { cwd: await folder(), environment })
    expect(text.split('\n').length).toBeGreaterThan(2)
    expect(tooLong(text)).toEqual([])
    expect(text).not.toMatch(/\S{79}/)
  })

  test('asks for a password, and says how to end it', async () => {
    const { database, url } = await freshDatabase()
    onTestFinished(() => database.close())
    const text = onTerminal('user add ada@example.com --password-stdin', {
      cwd: await folder(),
      environment: { DATABASE_URL: url },
      input: `${keepSecret(randomWord())}\n`,
    })
    expect(tooLong(text)).toEqual([])
    expect(text).toMatch(/^Type the password .*Ctrl\+D/m)
    expect(text).toContain('User ada@example.com added.')
  })
})

interface HelpPage {
  readonly command: string
  readonly text: string
}

/** The help of a command, then that of each command in its list. */
async function helpPages(command: readonly string[]): Promise<HelpPage[]> {
  const { code, stdout } = await runWarm([...command, '--help'])
  expect(code, command.join(' ')).toBe(0)
  const [, list = ''] = stdout.split('\nCommands:\n')
  const names = [...list.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help')
  const below: HelpPage[] = []
  for (const name of names) below.push(...(await helpPages([...command, name])))
  return [{ command: command.join(' '), text: stdout }, ...below]
}

function tooLong(text: string): string[] {
  return withoutColours(text)
    .split('\n')
    .filter((line) => line.length > columns)
}

function withoutColours(text: string): string {
  return text.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'g'), '')
}

interface TerminalOptions {
  readonly cwd: string
  readonly environment?: Record<string, string>
  /** What is typed, up to the end of the input. */
  readonly input?: string
}

/** Runs a command on a pseudoterminal, and returns what it printed there. */
function onTerminal(args: string, { cwd, environment, input }: TerminalOptions): string {
  const command = `stty cols ${columns}; '${process.execPath}' '${binPath}' ${args}`
  const env = { ...bareEnvironment, PATH: toolPath, TERM: 'xterm-256color', ...environment }
  const finished = spawnSync('script', ['-qc', command, '/dev/null'], { cwd, env, input, timeout: 60_000 })
  expect(finished.status).toBe(0)
  return finished.stdout.toString('utf8').replaceAll('\r', '')
}
