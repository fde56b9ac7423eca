import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DefaultTheme } from 'vitepress'
import { pageFor } from './page-for.ts'

interface Section {
  readonly text: string
  /** Files in reading order, or folders: the files of a folder that no section names, in alphabetical order. */
  readonly entries: readonly string[]
}

const sections: readonly Section[] = [
  { text: 'Start here', entries: ['README.md', 'docs/getting-started.md', 'docs/concepts.md', 'docs/README.md'] },
  {
    text: 'Guides',
    entries: [
      'docs/guides/guard-a-backend.md',
      'docs/guides/keep-a-token.md',
      'docs/guides/plugin.md',
      'docs/guides/own-postgresql.md',
      'docs/guides/embedded-database.md',
      'docs/guides/reverse-proxy.md',
      'docs/guides/containers.md',
      'docs/guides/several-servers.md',
      'docs/guides/postman.md',
      'docs/guides',
    ],
  },
  { text: 'Dialects', entries: ['docs/dialects/README.md', 'docs/dialects/webapi.md', 'docs/dialects'] },
  { text: 'Operations', entries: ['docs/operations/runbook.md', 'docs/operations'] },
  { text: 'Security', entries: ['SECURITY.md', 'docs/security/threat-model.md', 'docs/security'] },
  {
    text: 'Reference',
    entries: [
      'docs/reference/settings.md',
      'docs/reference/command-line.md',
      'docs/reference/http-errors.md',
      'docs/reference',
      'docs/reference/api/README.md',
    ],
  },
  { text: 'Project', entries: ['docs', 'docs/decisions/README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'] },
]

/** Folders of many pages: a page in them has the folder's list beside it instead. */
const archives: readonly Section[] = [
  { text: 'Decisions', entries: ['docs/decisions/README.md', 'docs/decisions'] },
  {
    text: 'Library',
    entries: ['docs/reference/api/README.md', 'docs/reference/api', 'docs/reference/api/fastify-password-grant'],
  },
]

/** The lists of pages beside the text. A page is listed under its first heading; a new page needs no line here. */
export function buildSidebars(repository: string): DefaultTheme.SidebarMulti {
  const named = new Set([...sections, ...archives].flatMap(({ entries }) => entries))
  const build = ({ text, entries }: Section): DefaultTheme.SidebarItem => {
    const files = entries.flatMap((entry) => (entry.endsWith('.md') ? [entry] : findOthers(repository, entry, named)))
    const present = files.filter((file) => existsSync(join(repository, file)))
    return { text, items: present.map((file) => linkTo(repository, file)) }
  }
  const back = { text: 'All pages', link: '/contents' }
  const beside = archives.map((archive) => [pathOf(archive.entries[0] ?? ''), [back, build(archive)]])
  return { '/': sections.map(build), ...Object.fromEntries(beside) }
}

function findOthers(repository: string, folder: string, named: ReadonlySet<string>): string[] {
  if (!existsSync(join(repository, folder))) return []
  const files = readdirSync(join(repository, folder)).map((name) => `${folder}/${name}`)
  return files.filter((file) => file.endsWith('.md') && !named.has(file)).sort()
}

function linkTo(repository: string, file: string): DefaultTheme.SidebarItem {
  return { text: file === 'README.md' ? 'Overview' : readTitle(join(repository, file)), link: pathOf(file) }
}

function pathOf(file: string): string {
  return `/${pageFor(file).replace(/(^|\/)index\.md$/, '$1')}`
}

/** A page's first heading, without its marks. */
function readTitle(path: string): string {
  const [, heading] = /^# (.+)$/m.exec(readFileSync(path, 'utf8')) ?? []
  if (heading === undefined) throw new Error(`${path} has no heading of level 1`)
  return heading.replaceAll(/[`*\\]/g, '')
}
