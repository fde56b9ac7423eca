import { existsSync, statSync } from 'node:fs'
import { join, posix, relative } from 'node:path'
import type MarkdownIt from 'markdown-it'
import { isPage, pageFor } from './page-for.ts'

type Token = ReturnType<MarkdownIt['parse']>[number]

/** Files of the repository that pages link to and that are no pages. The build copies them beside the pages. */
export const linkedFiles = new Set<string>()

/**
 * Makes the links that work on GitHub work on the site. A link to a Markdown page leads to that page. A link to another
 * file leads to a copy of it. A link to a folder becomes plain text, because a site lists no files.
 */
export function linkToPages(md: MarkdownIt, repository: string): void {
  md.core.ruler.push('link_to_pages', ({ tokens, env }) => {
    const page = relative(repository, env.realPath ?? env.path)
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        if (token.type === 'link_open') rewriteLink(token, page, repository)
      }
      if (children !== null) unlinkFolders(children)
    }
  })
}

function rewriteLink(link: Token, page: string, repository: string): void {
  const [, path = '', rest = ''] = /^([^?#]*)(.*)$/.exec(link.attrGet('href') ?? '') ?? []
  if (path === '' || path.startsWith('/') || /^[a-z][a-z\d+.-]*:/i.test(path)) return
  const target = posix.join(posix.dirname(page), decodeURI(path))
  const place = join(repository, target)
  if (isPage(target)) link.attrSet('href', `/${pageFor(target)}${rest}`)
  else if (!existsSync(place))
    return // the build names it as a dead link
  else if (statSync(place).isDirectory()) link.tag = 'span'
  else {
    linkedFiles.add(target)
    link.attrSet('href', `/${target}`)
    link.attrSet('target', '_self') // a file is not a page that the site's router could show
  }
}

function unlinkFolders(tokens: Token[]): void {
  for (const [index, open] of tokens.entries()) {
    if (open.type !== 'link_open' || open.tag !== 'span') continue
    open.attrs = null
    const close = tokens.slice(index).find(({ type }) => type === 'link_close')
    if (close !== undefined) close.tag = 'span'
  }
}
