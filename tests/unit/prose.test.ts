import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { checkText } from '../../prose/check-text.mjs'

/** The findings in a text, each with its line and column. */
async function findIn(name: string, text: string): Promise<string[]> {
  const { messages } = await checkText(name, text)
  return messages.map(({ line, column, reason }) => `${line}:${column} ${reason}`)
}

const words = (count: number) => Array.from({ length: count }, (_, index) => `word${index}`).join(' ')

const phrases = {
  'Whoever asks gets it.': '"Whoever"',
  'It is a secret that nobody knows.': '"nobody"',
  'It accepts whatever arrives.': '"whatever"',
  'What is over is deleted.': '"What is"',
  'It waits, and, what counts is time.': '"what counts"',
  'Who waits takes turns.': '"Who waits"',
  'A value that is none is refused.': '"that is none"',
  'It keeps two tables, of which one is empty.': '"of which"',
  'It waits so many seconds.': '"so many seconds"',
  'A caller may not repeat it.': '"may not"',
}

test('a sentence of 35 words passes, and one of 36 is named with its line', async () => {
  expect(await findIn('a.md', `# A\n\n${words(35)}.\n`)).toEqual([])
  const long = `- ${words(35)}\n- ${words(36)}\n\n| a |\n|---|\n| ${words(37)} |\n`
  expect(await findIn('a.md', long)).toEqual([
    '2:3 36 words in one sentence; split it',
    '6:3 37 words in one sentence; split it',
  ])
})

test('code counts as one word, and items of a list and cells of a table as sentences of their own', async () => {
  const item = words(20)
  const text = `${words(30)} \`${item}\`.\n\n- ${item}\n- ${item}\n\n| a | b |\n|---|---|\n| ${item} | ${item} |\n`
  expect(await findIn('a.md', text)).toEqual([])
})

test('each phrase that sounds translated is named, and so is a repeated word', async () => {
  const found = await findIn('a.md', Object.keys(phrases).join('\n\n'))
  const expected = Object.values(phrases).map((phrase, index) => `${index * 2 + 1}:1 ${phrase}: `)
  expect(found.map((finding, index) => finding.slice(0, expected[index]?.length))).toEqual(expected)
  expect(await findIn('a.md', 'It waits for for the lock.')).toEqual([
    '1:10 Unexpected repeated `for`, remove one occurrence',
  ])
})

test('headings, questions, relative clauses and code pass', async () => {
  const text =
    '## What is shared\n\nWhat is a seat? The user who waits knows what is missing. Set `of which` or `nobody`.\n\nIt keeps A-Z a-z.\n'
  expect(await findIn('a.md', text)).toEqual([])
})

test('comments of a source are read, and its code and strings are not', async () => {
  const source = [
    '/**',
    ' * Reads a thing.',
    ' * @param name - Whoever asks.',
    ' */',
    "export const nobody = 'nobody knows'",
    '  // one comment that nobody',
    '  // reads on two lines',
    `const a = 1 // ${words(20)}`,
    `const b = 2 // ${words(20)}`,
    '// biome-ignore lint/a/b: nobody minds',
    'const c = /\\/\\/ nobody/',
  ].join('\n')
  const places = (await findIn('a.ts', source)).map((finding) => /^\S+ "\w+"/.exec(finding)?.[0])
  expect(places).toEqual(['3:1 "Whoever"', '6:6 "nobody"'])
})

test('the command names each finding with its file, and fails where there is one', () => {
  const folder = mkdtempSync(join(tmpdir(), 'password-grant-prose-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'a.md'), 'Nobody knows.\n')
  writeFileSync(join(folder, 'b.md'), 'The user knows.\n')
  const command = fileURLToPath(new URL('../../prose/check-prose.mjs', import.meta.url))
  const run = (path: string) => spawnSync(process.execPath, [command, path], { cwd: folder, encoding: 'utf8' })
  expect(run('.')).toMatchObject({ status: 1, stderr: expect.stringMatching(/^a\.md:1:1 "Nobody": .*\n$/) })
  expect(run('b.md')).toMatchObject({ status: 0, stderr: '' })
})
