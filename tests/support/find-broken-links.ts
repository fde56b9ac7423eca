import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import GithubSlugger from 'github-slugger'
import type { Root } from 'mdast'
import { toString as textOf } from 'mdast-util-to-string'
import remarkGfm from 'remark-gfm'
import remarkParse from 'remark-parse'
import { unified } from 'unified'
import { visit } from 'unist-util-visit'

/**
 * Follows every link within a repository from some of its Markdown files and folders, and names those that lead to no
 * file or to no heading, as `FILE:LINE: …`. Headings have the anchors that GitHub gives them.
 */
export function findBrokenLinks(repository: string, paths: readonly string[]): string[] {
  const pages = new Pages(repository)
  return paths
    .flatMap((path) => findMarkdown(repository, path))
    .flatMap((page) => readLinks(pages.read(page)).map((link) => ({ page, ...link })))
    .flatMap(({ page, line, url }) => {
      const fault = findFault(pages, page, url)
      return fault === null ? [] : [`${page}:${line}: ${fault}`]
    })
}

function findMarkdown(repository: string, path: string): string[] {
  if (path.endsWith('.md')) return [path]
  const names = readdirSync(join(repository, path), { recursive: true, encoding: 'utf8' })
  const pages = names.filter((name) => name.endsWith('.md') && !name.split('/').includes('node_modules'))
  return pages.sort().map((name) => `${path}/${name}`)
}

/** Parsed pages and their anchors. */
class Pages {
  readonly #repository: string
  readonly #trees = new Map<string, Root>()
  readonly #anchors = new Map<string, ReadonlySet<string>>()

  constructor(repository: string) {
    this.#repository = repository
  }

  read(page: string): Root {
    const known = this.#trees.get(page)
    if (known) return known
    const text = readFileSync(join(this.#repository, page), 'utf8')
    const tree = unified().use(remarkParse).use(remarkGfm).parse(text)
    this.#trees.set(page, tree)
    return tree
  }

  /** The page that a path leads to: itself, or the README of a folder; null where it leads to no page. */
  find(path: string): string | null {
    const place = join(this.#repository, path)
    const page = statSync(place).isDirectory() ? posix.join(path, 'README.md') : path
    return page.endsWith('.md') && existsSync(join(this.#repository, page)) ? page : null
  }

  has(path: string): boolean {
    return existsSync(join(this.#repository, path))
  }

  anchorsOf(page: string): ReadonlySet<string> {
    const anchors = this.#anchors.get(page) ?? readAnchors(this.read(page))
    this.#anchors.set(page, anchors)
    return anchors
  }
}

function readAnchors(tree: Root): ReadonlySet<string> {
  const slugger = new GithubSlugger()
  const anchors = new Set<string>()
  visit(tree, (node) => {
    if (node.type === 'heading') anchors.add(slugger.slug(textOf(node, { includeHtml: false, includeImageAlt: false })))
    if (node.type === 'html') for (const [, id = ''] of node.value.matchAll(/ (?:id|name)="([^"]+)"/g)) anchors.add(id)
  })
  return anchors
}

/** Links, images, and the definitions of both, also those in HTML. */
function readLinks(tree: Root): { line: number; url: string }[] {
  const links: { line: number; url: string }[] = []
  visit(tree, (node) => {
    const line = node.position?.start.line ?? 0
    if (node.type === 'html') {
      for (const [, url = ''] of node.value.matchAll(/ (?:href|src|srcset)="([^"]+)"/g)) links.push({ line, url })
    } else if ('url' in node) links.push({ line, url: node.url })
  })
  return links
}

/** Returns the fault of a link, or null for a good link and for one to another host. */
function findFault(pages: Pages, page: string, url: string): string | null {
  if (/^(?:[a-z][a-z\d+.-]*:|\/)/i.test(url)) return url.startsWith('/') ? `${url} is no relative link` : null
  const [path = '', anchor = ''] = url.split('#').map(decodeURIComponent)
  const target = path === '' ? page : posix.join(posix.dirname(page), path)
  if (target.startsWith('..')) return `${url} leads out of the repository`
  if (!pages.has(target)) return `there is no file ${target}`
  const shown = anchor === '' ? null : pages.find(target)
  return shown === null || pages.anchorsOf(shown).has(anchor) ? null : `there is no heading #${anchor} in ${shown}`
}
