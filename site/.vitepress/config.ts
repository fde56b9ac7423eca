import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { slug } from 'github-slugger'
import { defineConfig, type Plugin } from 'vitepress'
import { buildSidebars } from './build-sidebars.ts'
import { linkedFiles, linkToPages } from './link-to-pages.ts'
import { makeReachable } from './make-reachable.ts'
import { pageFor, rootPages } from './page-for.ts'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/** The pages lie above the folder that Vue is installed in, so Vite finds no Vue for them: leaves that to Node. */
const findVueHere: Plugin = {
  name: 'find-vue-here',
  enforce: 'pre',
  resolveId: (id, _importer, { ssr }) => (ssr && /^vue(\/|$)/.test(id) ? { id, external: true } : null),
}

export default defineConfig({
  title: 'fastify-password-grant',
  description: 'The OAuth 2.0 password grant as a Fastify plugin and server, with PostgreSQL.',
  lang: 'en',
  srcDir: '..',
  srcExclude: readdirSync(repository).filter((name) => name !== 'docs' && !rootPages.includes(name)),
  rewrites: pageFor,
  outDir: '.vitepress/dist',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  markdown: {
    theme: { light: 'github-light-high-contrast', dark: 'github-dark' },
    languageAlias: { ndjson: 'json' },
    anchor: { slugify: slug }, // as GitHub names its anchors
    config: (md) => {
      linkToPages(md, repository)
      makeReachable(md)
    },
  },
  vite: { plugins: [findVueHere] },
  buildEnd: ({ outDir }) => {
    for (const file of linkedFiles) cpSync(join(repository, file), join(outDir, file))
  },
  themeConfig: {
    nav: [
      { text: 'Get started', link: '/getting-started' },
      { text: 'Settings', link: '/reference/settings' },
      { text: 'Security', link: '/security' },
    ],
    sidebar: buildSidebars(repository),
    outline: [2, 3],
    search: { provider: 'local' },
  },
})
