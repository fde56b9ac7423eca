import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'
import { docsScript } from './docs-script.ts'

/** The icon of the tab: a key. */
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#1d4f91"/>
<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">
<circle cx="11" cy="16" r="5"/><path d="M16 16h10v5M21 16v4"/>
</g></svg>`

/**
 * Hides elements that mean nothing here, parameters that a form has fields for (a password must not get into a URL),
 * and Execute while an operation is loading, when it would fail. Darkens colours that are too pale.
 */
const css = `
.swagger-ui .info hgroup.main > a,
.swagger-ui .servers-title,
.swagger-ui .servers,
.swagger-ui .scope-def,
.swagger-ui .flow,
.swagger-ui .response-col_links,
.swagger-ui .response-control-media-type:not(:has(option + option)),
.swagger-ui .opblock-body > .opblock-section > .opblock-section-header,
.swagger-ui .parameters-container:not(:has([data-param-in="path"])),
.swagger-ui .opblock-body:has(> .opblock-loading-animation) .execute-wrapper { display: none }

.swagger-ui .wrapper { max-width: 1080px }
.swagger-ui .info { margin: 32px 0 16px }
.swagger-ui .info .title { font-size: 30px; line-height: 1.3 }
.swagger-ui .info .title small { top: 0; vertical-align: middle }
.swagger-ui .info .renderedMarkdown { max-width: 50em; line-height: 1.55 }
.swagger-ui .info .renderedMarkdown li { margin: 4px 0 }
.swagger-ui .info .renderedMarkdown pre { white-space: pre-wrap; overflow-wrap: anywhere }
.swagger-ui .renderedMarkdown code { padding: 1px 4px; font-weight: 400 }
.swagger-ui .scheme-container { padding: 0 0 8px; background: none; box-shadow: none }
.swagger-ui :focus-visible { outline: 3px solid var(--link); outline-offset: 1px }
.swagger-ui .opblock .opblock-summary-path { overflow-wrap: anywhere }

.swagger-ui .auth-container .renderedMarkdown { line-height: 1.5 }
.swagger-ui .auth-container .renderedMarkdown code { font-size: 12px }

html {
  --link: #1d5ca8;
  --go: #0f7048;
}
html.dark-mode {
  --link: #8cc1ff;
  --go: #5fd3a3;
}
.swagger-ui .info a { color: var(--link) }
.swagger-ui .version-stamp .version,
.swagger-ui .info .title small,
.swagger-ui .info .title small.version-stamp { background: #4a5260 }
.swagger-ui .opblock.opblock-post .opblock-summary-method { background: #0f7048 }
.swagger-ui .opblock.opblock-delete .opblock-summary-method { background: #b3261e }
.swagger-ui .opblock.opblock-get .opblock-summary-method,
.swagger-ui .btn.execute { background: #1d5ca8; border-color: #1d5ca8 }
.swagger-ui .btn.authorize { color: var(--go); border-color: var(--go) }
.swagger-ui .btn.authorize svg { fill: var(--go) }
.swagger-ui .download-contents { background: #4a5260 }
.swagger-ui .curl-command .curl,
.swagger-ui .curl-command .curl * { white-space: pre-wrap !important; overflow-wrap: anywhere }
html:not(.dark-mode) .swagger-ui .renderedMarkdown code { color: #6a1bb5 }
html:not(.dark-mode) .swagger-ui .parameter__in,
html:not(.dark-mode) .swagger-ui .json-schema-2020-12-expand-deep-button,
html:not(.dark-mode) .swagger-ui .json-schema-2020-12__attribute { color: #4a5260 }
.swagger-ui .json-schema-2020-12__constraint { background: #6b4a00; color: #fff }
html.dark-mode .swagger-ui .headers .header-col { color: #e4e6e6 }
`

/** The title and the look of the page. */
export const docsTheme: NonNullable<FastifySwaggerUiOptions['theme']> = {
  title: 'fastify-password-grant',
  favicon: [{ filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any', content: icon }],
  css: [{ filename: 'docs.css', content: css }],
  js: [{ filename: 'docs.js', content: docsScript }],
}
