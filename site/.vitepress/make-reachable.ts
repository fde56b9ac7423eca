import type MarkdownIt from 'markdown-it'

/** Lets the keyboard reach what scrolls sideways on a narrow screen: tables, and diagrams in a frame of their own. */
export function makeReachable(md: MarkdownIt): void {
  md.renderer.rules.table_open = () => '<table tabindex="0">\n'
  const image = md.renderer.rules.image
  md.renderer.rules.image = (tokens, index, options, env, self) => {
    const html = image?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options)
    const isDiagram = tokens[index]?.attrGet('src')?.endsWith('.svg')
    return isDiagram ? `<span class="diagram" tabindex="0">${html}</span>` : html
  }
}
