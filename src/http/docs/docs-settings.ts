import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'

/**
 * Swagger UI's settings. The server sends their functions to the browser as text, so they must not use outside names.
 */
export const docsSettings: NonNullable<FastifySwaggerUiOptions['uiConfig']> = {
  layout: 'BaseLayout', // the default layout has a bar that offers to open documents of other hosts
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  syntaxHighlight: { theme: 'obsidian' }, // all its colours have enough contrast
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  // with credentials, the browser would ask for a name and a password whenever a client is refused
  requestInterceptor: (request) => Object.assign(request, { credentials: 'omit' }),
  plugins: [
    ({ React }) => ({
      components: {
        ParameterIncludeEmpty: () => null, // an empty field counts as missing here
      },
      wrapComponents: {
        // replaces a link inside a button, which keyboards and screen readers cannot use
        DeepLink: () => (link: { text: unknown }) => React.createElement('span', null, link.text),
      },
      statePlugins: {
        auth: {
          wrapSelectors: {
            // an optional scheme would show every padlock as locked before the first sign-in
            isAuthorized:
              (isAuthorized: (securities: unknown) => unknown) => (_state: unknown, securities: Securities) =>
                isAuthorized(securities?.filter(({ size }) => size > 0)),
          },
        },
        spec: {
          wrapSelectors: {
            allowTryItOutFor: () => (state: Specification, path: string, method: string) =>
              state.getIn(['json', 'paths', path, method, 'x-try-it-out']) !== false,
          },
        },
      },
    }),
  ],
}

/** Types of Immutable.js, in which Swagger UI keeps its state. */
type Securities = { filter(accepts: (security: { size: number }) => boolean): unknown } | undefined
interface Specification {
  getIn(path: readonly string[]): unknown
}
