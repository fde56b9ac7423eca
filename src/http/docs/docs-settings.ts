import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'

/** Swagger UI's settings. Their functions are sent to the browser as text, so they name nothing outside themselves. */
export const docsSettings: NonNullable<FastifySwaggerUiOptions['uiConfig']> = {
  layout: 'BaseLayout', // the other one has a bar on top that offers to open other hosts' documents
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  syntaxHighlight: { theme: 'obsidian' }, // every colour of which can be read
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  // with credentials, the browser itself would ask for a name and a password wherever a client is refused
  requestInterceptor: (request) => Object.assign(request, { credentials: 'omit' }),
  plugins: [
    ({ React }) => ({
      components: {
        ParameterIncludeEmpty: () => null, // an empty field counts as missing here
      },
      wrapComponents: {
        // a link inside a button, which no keyboard and no screen reader can make sense of
        DeepLink: () => (link: { text: unknown }) => React.createElement('span', null, link.text),
      },
      statePlugins: {
        auth: {
          wrapSelectors: {
            // "or nothing" beside a scheme would show every padlock as locked before anybody signed in
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

/** Of Immutable.js, in which Swagger UI keeps what it knows. */
type Securities = { filter(accepts: (security: { size: number }) => boolean): unknown } | undefined
interface Specification {
  getIn(path: readonly string[]): unknown
}
