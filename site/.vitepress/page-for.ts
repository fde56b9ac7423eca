/** The files outside docs/ that are pages too. */
export const rootPages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md']

/** Whether a file, by its path in the repository, is a page of the site. */
export function isPage(file: string): boolean {
  return rootPages.includes(file) || /^docs\/.+\.md$/.test(file)
}

/** The page that a file becomes: README.md is the front page, docs/ goes away, and a folder's README is its index. */
export function pageFor(file: string): string {
  if (file === 'README.md') return 'index.md'
  if (file === 'docs/README.md') return 'contents.md'
  if (rootPages.includes(file)) return file.toLowerCase()
  return file.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md')
}
