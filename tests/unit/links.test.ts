import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { findBrokenLinks } from '../support/find-broken-links.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))
const texts = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs', 'examples', 'packages']

/** Broken links in a repository of some files. */
function findBrokenIn(files: Record<string, string>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'password-grant-links-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return findBrokenLinks(folder, ['README.md', 'docs'])
}

test('every link in the documentation leads to a file and a heading that exist', () => {
  expect(findBrokenLinks(repository, texts)).toEqual([])
})

test('a link to a missing page is named with its page and line', () => {
  const page = '# A\n\n[there](../README.md) [folder](../docs)\n[gone](b.md)\n'
  expect(findBrokenIn({ 'README.md': '', 'docs/a.md': page })).toEqual(['docs/a.md:4: there is no file docs/b.md'])
})

test('a link to a missing heading is named, on the same page, on another one and on the README of a folder', () => {
  const links = '# A\n\n[1](#b) [2](docs/b.md#cc)\n[3](docs#top) [4](docs#b)\n'
  expect(
    findBrokenIn({ 'README.md': links, 'docs/README.md': '# Top\n', 'docs/b.md': '# B\n\n## CC, and dd\n' }),
  ).toEqual([
    'README.md:3: there is no heading #b in README.md',
    'README.md:3: there is no heading #cc in docs/b.md',
    'README.md:4: there is no heading #b in docs/README.md',
  ])
})

test('headings have the anchors of GitHub: without marks and punctuation, numbered where they repeat', () => {
  const links =
    '[1](docs/b.md#the-env-file-and-you) [2](docs/b.md#again-1) [3](docs/b.md#gr%C3%B6%C3%9Fe) [4](docs/b.md#x)\n'
  const headings = '# The `.env` file, *and* you\n\n## Again\n\n## Again\n\n## Größe\n\n<a id="x"></a>\n'
  expect(findBrokenIn({ 'README.md': links, 'docs/b.md': headings })).toEqual([])
})

test('images, definitions and HTML are followed too; code and links to other hosts are not', () => {
  const page = '[x]\n\n![d](d.svg)\n\n`[c](c.md)` [e](https://example.com/e)\n\n[x]: y.md\n\n<img src="z.png">\n'
  expect(findBrokenIn({ 'README.md': page, 'docs/b.md': '' })).toEqual([
    'README.md:3: there is no file d.svg',
    'README.md:7: there is no file y.md',
    'README.md:9: there is no file z.png',
  ])
})

test('a link that works in one place alone is named: from the root of a host, or out of the repository', () => {
  expect(findBrokenIn({ 'README.md': '[1](/docs/b.md) [2](../x/docs/b.md)\n', 'docs/b.md': '' })).toEqual([
    'README.md:1: /docs/b.md is no relative link',
    'README.md:1: ../x/docs/b.md leads out of the repository',
  ])
})
