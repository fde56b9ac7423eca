/** A response that no operation of `openapi.yaml` has. */
export interface Undescribed {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly error: string
  readonly situation: string
}

/** A request of the collection, as what differs from the request that `openapi.yaml` describes. */
export interface Scenario {
  readonly name: string
  /** The expected response: operation and status, and the example where there are several. */
  readonly response: string | Undescribed
  /** What `openapi.yaml` does not say. Instead of its description for a request that succeeds. */
  readonly about?: string
  /** A method that the path does not have. */
  readonly method?: string
  /** The path to send, where it has parameters. */
  readonly path?: string
  readonly auth?: 'none' | { readonly id: string; readonly secret: string } | { readonly token: string }
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  /** Fields with other values; null leaves one out. */
  readonly fields?: Readonly<Record<string, string | null>>
  /** Fields to send once more. */
  readonly repeated?: Readonly<Record<string, string>>
  /** Another of the described types, or a text as it is. */
  readonly body?: { readonly as: string } | { readonly raw: string; readonly type: string }
  readonly withoutBody?: boolean
  /** Whether the response is XML or YAML, not JSON. */
  readonly isText?: boolean
  /** Whether only the status counts, since another request needs this one. */
  readonly prepares?: boolean
  /** The variable without which the request is skipped. */
  readonly needs?: string
  /** Lines of the pre-request script and of the test script. */
  readonly before?: readonly string[]
  readonly after?: readonly string[]
}

/** A folder of the collection. */
export interface Folder {
  readonly name: string
  readonly about: string
  /** The dialect without which the folder is skipped. */
  readonly dialect?: string
  /** Whether no response in it may be cached. */
  readonly uncached?: boolean
  readonly items: readonly (Folder | Scenario)[]
}

/** The description of the collection. */
export const about = `Sign in with a user name and a password, use the token, and see every error response.

1. Choose the environment "Local". Fill in \`baseUrl\`, \`clientId\`, \`clientSecret\`, \`username\` and \`password\` as current values. Current values stay on your machine.
2. Send **Sign in**, or any other request of the folder **Use**.
3. Run the folder **Refusals** to see every error response and the request that causes it.

If the server has more than the \`webapi\` dialect, copy the value of its \`DIALECTS\` setting to the variable \`dialects\`. Requests for other dialects are skipped. For the \`device\` dialect, fill in \`deviceKey\` and \`customerKey\` too.

The collection keeps the token in \`accessToken\`. Its pre-request script signs in again when the token is missing or about to expire. It does so only before requests that send the token.`

/** The pre-request script of the collection. */
export const signInFirst = [
  '// Signs in before a request that sends {{accessToken}}, if there is no token or it expires within a second.',
  "const sendsToken = JSON.stringify(pm.request.toJSON()).includes('{{accessToken}}')",
  "const isLive = pm.environment.get('accessToken') && Date.now() < Number(pm.environment.get('expiresAt')) - 1000",
  'if (sendsToken && !isLive) {',
  '  const began = Date.now()',
  '  const pair = (key, value) => ({ key, value })',
  '  pm.sendRequest(',
  '    {',
  "      url: pm.variables.get('baseUrl') + '/Token',",
  "      method: 'POST',",
  '      auth: {',
  "        type: 'basic',",
  "        basic: [pair('username', pm.variables.get('clientId')), pair('password', pm.variables.get('clientSecret'))],",
  '      },',
  '      body: {',
  "        mode: 'urlencoded',",
  '        urlencoded: [',
  "          pair('grant_type', 'password'),",
  "          pair('username', pm.variables.get('username')),",
  "          pair('password', pm.variables.get('password')),",
  '        ],',
  '      },',
  '    },',
  '    (error, response) => {',
  '      if (error || response.code !== 200) {',
  "        return pm.test('Signing in first', () => pm.expect.fail(error ? error.message : response.text()))",
  '      }',
  '      const { access_token, expires_in } = response.json()',
  "      pm.environment.set('accessToken', access_token)",
  "      pm.environment.set('expiresAt', String(began + expires_in * 1000))",
  '    },',
  '  )',
  '}',
]

const keepToken = [
  'if (pm.response.code === 200) {',
  '  const { access_token, expires_in } = pm.response.json()',
  "  pm.environment.set('accessToken', access_token)",
  "  pm.environment.set('expiresAt', String(Date.now() - pm.response.responseTime + expires_in * 1000))",
  '}',
]
const keepSession = [
  "if (pm.response.code === 200) pm.environment.set('sessionToken', pm.response.json().access_token)",
]
const keepEnvelope = [
  "if (pm.response.json().success) pm.environment.set('envelopeToken', pm.response.json().data.access_token)",
]
const keepDevice = ["if (pm.response.code === 200) pm.environment.set('deviceToken', pm.response.json().token)"]
const forgetToken = ["for (const name of ['accessToken', 'expiresAt']) pm.environment.set(name, '')"]

const belongsToUser = [
  "pm.test('The token belongs to the user', () => {",
  '  const { userName } = pm.response.json().data || pm.response.json()',
  "  pm.expect(userName.toLowerCase()).to.equal(pm.variables.get('username').toLowerCase())",
  '})',
]
const belongsToDevice = [
  "pm.test('The token belongs to the device', () => {",
  "  pm.expect(pm.response.json().userName).to.equal(pm.environment.get('deviceKey'))",
  '})',
]
const namesCause = (word: string) => [
  `pm.test('The sentence names the cause', () => pm.expect(pm.response.json().error_description).to.include('${word}'))`,
]

const signDevice = [
  "const deviceKey = pm.environment.get('deviceKey')",
  "const customerKey = pm.environment.get('customerKey')",
  'if (!deviceKey || !customerKey) pm.execution.skipRequest()',
  'else {',
  "  const last = Number(pm.environment.get('deviceTimestamp') || 0)",
  '  const timestamp = Math.max(Math.floor(Date.now() / 1000), last + 1)',
  "  pm.environment.set('deviceTimestamp', String(timestamp))",
  "  pm.variables.set('deviceSignature', CryptoJS.HmacSHA256(timestamp + deviceKey, customerKey).toString())",
  '}',
]
const useUpAttempts = [
  "const hasty = pm.variables.replaceIn('{{$guid}}')",
  "pm.variables.set('hasty', hasty)",
  'for (let attempt = 0; attempt < 10; attempt += 1) {',
  '  pm.sendRequest({',
  "    url: pm.variables.get('baseUrl') + '/auth/login',",
  "    method: 'POST',",
  "    header: { 'Content-Type': 'application/json' },",
  "    body: { mode: 'raw', raw: JSON.stringify({ device_key: hasty, timestamp: 1, device_signature: 'x' }) },",
  '  })',
  '}',
]
const makeLongText = ["pm.variables.set('longText', 'x'.repeat(16 * 1024))"]

const form = 'application/x-www-form-urlencoded'
const json = 'application/json'
const raw = (text: string, type: string) => ({ raw: text, type })
const tokenScheme = (value: string) => ({ auth: 'none' as const, headers: { Authorization: `Token${value}` } })
const unknownSeat = '/seats/00000000-0000-4000-8000-000000000000'

const use: Folder = {
  name: 'Use',
  about:
    'Get a token, use it and end it. Fill in the environment and send the requests in any order: each request that needs a token signs in if there is none.',
  items: [
    {
      name: 'Sign in',
      response: 'POST /Token 200',
      about:
        "Requests a token with the user's name and password. The client sends its id and secret in `Authorization: Basic`.\n\nThe test script keeps the token in `accessToken` and its expiry in `expiresAt`. Each sign-in ends the user's previous token.",
      after: keepToken,
    },
    {
      name: 'Sign in, client in the form',
      response: 'POST /Token 200',
      about:
        'The other way for a client to authenticate: `client_id` and `client_secret` beside the other fields. Never send both.',
      auth: 'none',
      fields: { client_id: '{{clientId}}', client_secret: '{{clientSecret}}' },
      after: keepToken,
    },
    { name: 'Sign in with GET', response: 'GET /Token 200', after: keepToken },
    { name: 'Whose token', response: 'GET /userinfo 200 plain', after: belongsToUser },
    {
      name: 'Introspect',
      response: 'POST /introspect 200 active',
      after: ["pm.test('It is active', () => pm.expect(pm.response.json().active).to.equal(true))"],
    },
    {
      name: 'Seats',
      response: 'GET /seats 200 plain',
      about: 'Lists where the user is signed in. The test script keeps the id of the seat of this token in `seatId`.',
      after: [
        'const current = pm.response.code === 200 ? pm.response.json().filter((seat) => seat.current) : []',
        "pm.test('One seat is the current one', () => {",
        '  pm.expect(current).to.have.length(1)',
        "  pm.expect(current[0]).to.have.all.keys('id', 'device', 'client_id', '.issued', '.expires', 'current')",
        '})',
        "if (current.length > 0) pm.environment.set('seatId', current[0].id)",
      ],
    },
    {
      name: 'End a seat',
      response: 'DELETE /seats/{id} 204',
      about:
        'Ends the seat that **Seats** found, which is the seat of this token. The test script forgets the token, so the next request that needs one signs in.',
      path: '/seats/{{seatId}}',
      needs: 'seatId',
      after: [...forgetToken, "pm.environment.set('seatId', '')"],
    },
    {
      name: 'Revoke',
      response: 'POST /revoke 200',
      about:
        'Ends the token. A value that is not a live token gets the same response. The test script forgets the token, so the next request that needs one signs in.',
      after: forgetToken,
    },
    {
      name: 'Dialect webapi-session',
      about:
        '`POST /v2/token` accepts a form, JSON or XML and answers in JSON or XML. `clientKey` is the label of the device. No client authenticates.',
      dialect: 'webapi-session',
      items: [
        {
          name: 'Session from a form',
          response: 'POST /v2/token 200',
          about: 'Requests a token for the device `postman`. It ends the previous token of that device only.',
          fields: { clientKey: 'postman' },
          after: keepSession,
        },
        {
          name: 'Session from JSON',
          response: 'POST /v2/token 200',
          about: 'The same request in JSON.',
          body: { as: json },
          fields: { clientKey: 'postman' },
          after: keepSession,
        },
        {
          name: 'Session from XML',
          response: 'POST /v2/token 200',
          about:
            'The same request in XML. `Accept` asks for XML too. Write `<` and `&` in a name or password as `&lt;` and `&amp;`.',
          body: { as: 'application/xml' },
          headers: { Accept: 'application/xml' },
          fields: { clientKey: 'postman' },
          isText: true,
          after: [
            "pm.test('The response is XML', () => {",
            "  pm.expect(pm.response.headers.get('Content-Type')).to.equal('application/xml; charset=utf-8')",
            '  pm.expect(pm.response.text()).to.match(/^<OAuthToken .*<clientKey>postman<\\/clientKey>.*<\\/OAuthToken>$/)',
            '})',
            'const [, value] = /<access_token>([^<]+)/.exec(pm.response.text()) || []',
            "if (value) pm.environment.set('sessionToken', value)",
          ],
        },
        {
          name: 'Whose session',
          response: 'GET /userinfo 200 plain',
          about: 'Tokens of this dialect work like all others.',
          auth: { token: '{{sessionToken}}' },
          needs: 'sessionToken',
          after: belongsToUser,
        },
      ],
    },
    {
      name: 'Dialect envelope',
      about:
        '`POST /v1/oauth/` accepts a form, a multipart body or the query string. It answers in an envelope, mostly with status 200: branch on `success`. `device-info` is the label of the device.',
      dialect: 'envelope',
      items: [
        {
          name: 'Envelope from a form',
          response: 'POST /v1/oauth/ 200 token',
          fields: { 'device-info': 'postman' },
          after: keepEnvelope,
        },
        {
          name: 'Envelope from multipart',
          response: 'POST /v1/oauth/ 200 token',
          about: 'The same request as multipart.',
          body: { as: 'multipart/form-data' },
          fields: { 'device-info': 'postman' },
          after: keepEnvelope,
        },
        {
          name: 'Envelope from the query',
          response: 'POST /v1/oauth/ 200 token',
          about: 'The same request in the query string. URLs end up in logs and histories, so prefer the body.',
          withoutBody: true,
          query: { username: '{{username}}', password: '{{password}}' },
          after: keepEnvelope,
        },
        {
          name: 'Whose token, in the envelope',
          response: 'GET /userinfo 200 enveloped',
          about: 'A request with `Authorization: Token` gets its response in the envelope.',
          ...tokenScheme(' {{envelopeToken}}'),
          needs: 'envelopeToken',
          after: belongsToUser,
        },
      ],
    },
    {
      name: 'Dialect device',
      about: '`POST /auth/login` issues a JWT to a device that signs the current time.',
      dialect: 'device',
      items: [
        {
          name: 'Sign a device in',
          response: 'POST /auth/login 200',
          about:
            'The pre-request script signs the time with `customerKey`. Each timestamp must be newer than the one before, so the script adds a second where needed. The test script keeps the token in `deviceToken`.\n\nSkipped while `deviceKey` or `customerKey` is empty. Add a device with `password-grant device add`.',
          body: { as: json },
          before: signDevice,
          after: [
            "pm.test('The token is a JWT with RS256', () => {",
            "  const [header] = pm.response.json().token.split('.')",
            "  pm.expect(JSON.parse(atob(header.replace(/-/g, '+').replace(/_/g, '/')))).to.include({ alg: 'RS256' })",
            '})',
            ...keepDevice,
          ],
        },
        {
          name: 'Whose device token',
          response: 'GET /userinfo 200 plain',
          about: 'Devices send their token in the header `x-access-token`.',
          auth: 'none',
          headers: { 'x-access-token': '{{deviceToken}}' },
          needs: 'deviceToken',
          after: belongsToDevice,
        },
        { name: 'Keys', response: 'GET /.well-known/jwks.json 200' },
      ],
    },
    { name: 'Metadata', response: 'GET /.well-known/oauth-authorization-server 200' },
    { name: 'Health: live', response: 'GET /health/live 200' },
    { name: 'Health: ready', response: 'GET /health/ready 200' },
    {
      name: 'openapi.yaml',
      response: 'GET /openapi.yaml 200',
      about: 'Describes exactly the version of the server that answers. Postman can import it.',
      isText: true,
      after: ["pm.test('It is an OpenAPI document', () => pm.expect(pm.response.text()).to.match(/^openapi: 3\\./))"],
    },
  ],
}

const atToken: Folder = {
  name: 'At /Token',
  about:
    'The first check that fails decides the response. The order is: method, size, form, client, `grant_type`, other fields, too many attempts, user.',
  uncached: true,
  items: [
    {
      name: 'A field is missing',
      response: 'POST /Token 400 missing',
      about: 'The request has no user name. An empty field counts as missing.',
      fields: { username: null },
    },
    { name: 'A field is repeated', response: 'POST /Token 400 repeated', repeated: { username: 'another' } },
    {
      name: 'An unreadable form',
      response: 'POST /Token 400 unreadable',
      about: 'A percent sign starts an escape, and `%zz` is not one.',
      body: raw('grant_type=password&username=%zz&password=x', form),
    },
    {
      name: 'A body in JSON',
      response: 'POST /Token 400 notAForm',
      body: raw('{"grant_type":"password","username":"x","password":"x"}', json),
    },
    {
      name: 'Fields in the query string',
      response: 'POST /Token 400 query',
      about: 'Query strings end up in logs. Never put a real password there.',
      withoutBody: true,
      query: { grant_type: 'password', username: 'someone', password: 'in-the-wrong-place' },
      after: namesCause('query'),
    },
    { name: 'Two ways of authentication', response: 'POST /Token 400 twoWays', fields: { client_secret: 'x' } },
    {
      name: 'Two client ids',
      response: 'POST /Token 400 twoWays',
      about: 'The `client_id` in the form is not the id in the header.',
      fields: { client_id: 'another' },
    },
    {
      name: 'Another grant_type',
      response: 'POST /Token 400 grantType',
      fields: { grant_type: 'client_credentials' },
    },
    {
      name: 'Unknown user',
      response: 'POST /Token 400 invalid_grant',
      fields: { username: 'unknown-{{$guid}}', password: 'x' },
    },
    {
      name: 'Wrong password',
      response: 'POST /Token 400 invalid_grant',
      fields: { password: 'wrong-{{$guid}}' },
    },
    {
      name: 'Unknown client',
      response: 'POST /Token 401 refused',
      auth: { id: 'unknown-{{$guid}}', secret: 'x' },
    },
    {
      name: 'Wrong secret',
      response: 'POST /Token 401 refused',
      auth: { id: '{{clientId}}', secret: 'wrong-{{$guid}}' },
    },
    { name: 'No client', response: 'POST /Token 401 none', auth: 'none' },
    {
      name: 'Another scheme',
      response: 'POST /Token 401 refused',
      about: 'The header has the scheme Digest.',
      auth: 'none',
      headers: { Authorization: 'Digest x' },
    },
    { name: 'Another method', response: 'POST /Token 405', method: 'PUT', auth: 'none' },
    {
      name: 'Too long',
      response: 'POST /Token 413',
      body: raw('x={{longText}}', form),
      before: makeLongText,
    },
  ],
}

const atUserinfo: Folder = {
  name: 'At /userinfo',
  about:
    'What a backend can pass on to the sender of a token. Run the whole folder: three of its requests prepare others. The folder has no expired token, because that would take too long.',
  uncached: true,
  items: [
    { name: 'No token', response: 'GET /userinfo 401 none', auth: 'none' },
    {
      name: 'Malformed header',
      response: 'GET /userinfo 400',
      auth: 'none',
      headers: { Authorization: 'Bearer two words' },
    },
    {
      name: 'Unknown token',
      response: 'GET /userinfo 401 unknown',
      auth: { token: 'no-token' },
      after: namesCause('unknown'),
    },
    {
      name: 'First sign in',
      response: 'POST /Token 200',
      about: 'Prepares **Replaced token**.',
      prepares: true,
      after: ["if (pm.response.code === 200) pm.environment.set('replacedToken', pm.response.json().access_token)"],
    },
    {
      name: 'Sign in again',
      response: 'POST /Token 200',
      about: 'Replaces the token of the first sign-in.',
      after: keepToken,
    },
    {
      name: 'Replaced token',
      response: 'GET /userinfo 401 superseded',
      about:
        'The same user signed in again. Two programs that share a user do this to each other: give each a user of its own.',
      auth: { token: '{{replacedToken}}' },
      after: namesCause('replaced'),
    },
    {
      name: 'Revoke the newer one',
      response: 'POST /revoke 200',
      about: 'Prepares **Revoked token**.',
      prepares: true,
      after: ["pm.environment.set('revokedToken', pm.environment.get('accessToken'))", ...forgetToken],
    },
    {
      name: 'Revoked token',
      response: 'GET /userinfo 401 revoked',
      auth: { token: '{{revokedToken}}' },
      after: namesCause('revoked'),
    },
    { name: 'Another method', response: 'GET /userinfo 405 plain', method: 'POST', auth: 'none' },
  ],
}

const atSeats: Folder = {
  name: 'At /seats',
  about: 'The errors are those of `/userinfo`, and one for an unknown seat.',
  uncached: true,
  items: [
    { name: 'Seats: no token', response: 'GET /seats 401 none', auth: 'none' },
    {
      name: 'Seats: malformed header',
      response: 'GET /seats 400',
      auth: 'none',
      headers: { Authorization: 'Bearer two words' },
    },
    { name: 'Seats: another method', response: 'GET /seats 405 plain', method: 'PUT', auth: 'none' },
    { name: 'A seat: no token', response: 'DELETE /seats/{id} 401 none', path: unknownSeat, auth: 'none' },
    {
      name: 'A seat: malformed header',
      response: 'DELETE /seats/{id} 400',
      path: unknownSeat,
      auth: 'none',
      headers: { Authorization: 'Bearer two words' },
    },
    { name: 'A seat: unknown', response: 'DELETE /seats/{id} 404 plain', path: unknownSeat },
    {
      name: 'A seat: another method',
      response: 'DELETE /seats/{id} 405',
      path: unknownSeat,
      method: 'PUT',
      auth: 'none',
    },
  ],
}

const withTokenScheme: Folder = {
  name: 'With Authorization: Token',
  about:
    'What `/userinfo` and `/seats` answer to the scheme of the envelope. Run the whole folder: its first request prepares another.',
  dialect: 'envelope',
  uncached: true,
  items: [
    {
      name: 'Sign in for the envelope',
      response: 'POST /v1/oauth/ 200 token',
      about: 'Prepares **Token scheme: unknown seat**.',
      prepares: true,
      after: keepEnvelope,
    },
    {
      name: 'Token scheme: no token',
      response: 'GET /userinfo 401 tokenMissing',
      ...tokenScheme(''),
    },
    {
      name: 'Token scheme: not a live token',
      response: 'GET /userinfo 401 tokenDead',
      ...tokenScheme(' no-token'),
    },
    {
      name: 'Token scheme: another method',
      response: 'GET /userinfo 405 enveloped',
      ...tokenScheme(' no-token'),
      method: 'PUT',
    },
    {
      name: 'Token scheme: unknown seat',
      response: 'DELETE /seats/{id} 404 enveloped',
      path: unknownSeat,
      ...tokenScheme(' {{envelopeToken}}'),
      needs: 'envelopeToken',
    },
  ],
}

/** The requests that `/introspect` and `/revoke` refuse in the same way. */
const clientRefusals = (path: '/introspect' | '/revoke'): Scenario[] => [
  {
    name: 'No token',
    response: `POST ${path} 400${path === '/revoke' ? ' missing' : ''}`,
    fields: { token: null, token_type_hint: 'access_token' },
  },
  { name: 'No client', response: `POST ${path} 401 none`, auth: 'none', fields: { token: 'no-token' } },
  {
    name: 'Unknown client',
    response: `POST ${path} 401 refused`,
    auth: { id: 'unknown-{{$guid}}', secret: 'x' },
    fields: { token: 'no-token' },
  },
  { name: 'Another method', response: `POST ${path} 405`, method: 'GET', auth: 'none' },
  {
    name: 'Too long',
    response: `POST ${path} 413`,
    body: raw('token={{longText}}', form),
    before: makeLongText,
  },
]

const atIntrospect: Folder = {
  name: 'At /introspect',
  about: 'A value that is not a live token is no error: the response is `{"active":false}`.',
  uncached: true,
  items: [
    {
      name: 'Not a live token',
      response: 'POST /introspect 200 inactive',
      about: 'Expired, replaced, revoked and unknown tokens look the same to a client.',
      fields: { token: 'no-token' },
      after: ["pm.test('It is inactive', () => pm.expect(pm.response.json()).to.eql({ active: false }))"],
    },
    {
      name: 'Public client',
      response: 'POST /introspect 401 refused',
      about: 'A client without a secret cannot check tokens.',
      auth: 'none',
      fields: { client_id: '{{publicClientId}}', token: 'no-token' },
      needs: 'publicClientId',
    },
    ...clientRefusals('/introspect'),
  ],
}

const atRevoke: Folder = {
  name: 'At /revoke',
  about: 'Only the client that got a token can end it.',
  uncached: true,
  items: [
    {
      name: 'Another client’s token',
      response: 'POST /revoke 400 foreign',
      about: 'The live token of another client stays live.',
      auth: { id: '{{otherClientId}}', secret: '{{otherClientSecret}}' },
      needs: 'otherClientId',
    },
    ...clientRefusals('/revoke'),
  ],
}

const acceptJson = { Accept: json }
const atSession: Folder = {
  name: 'At /v2/token',
  about: 'Error responses have the format that the token would have had.',
  dialect: 'webapi-session',
  uncached: true,
  items: [
    {
      name: 'Session: wrong password',
      response: 'POST /v2/token 400 invalid_grant',
      fields: { password: 'wrong' },
      after: namesCause('The user name or password is incorrect.'),
    },
    {
      name: 'Session: wrong password, in XML',
      response: 'POST /v2/token 400 invalid_grant',
      headers: { Accept: 'text/xml' },
      fields: { password: 'wrong' },
      isText: true,
    },
    {
      name: 'Session: a field is missing',
      response: 'POST /v2/token 400 missing',
      about: 'The user name is null, which counts as missing.',
      body: raw('{ "grant_type": "password", "userName": null, "password": "x" }', json),
    },
    {
      name: 'Session: a field is repeated',
      response: 'POST /v2/token 400 repeated',
      about: 'Field names match in any letter case.',
      repeated: { USERNAME: 'someone-else' },
    },
    {
      name: 'Session: clientKey is too long',
      response: 'POST /v2/token 400 label',
      fields: { clientKey: '{{longKey}}' },
      before: ["pm.variables.set('longKey', 'x'.repeat(201))"],
    },
    { name: 'Session: not JSON', response: 'POST /v2/token 400 notJson', body: raw('grant_type=password', json) },
    {
      name: 'Session: not XML',
      response: 'POST /v2/token 400 notXml',
      body: raw('grant_type=password', 'text/xml'),
      headers: acceptJson,
    },
    {
      name: 'Session: a document type',
      response: 'POST /v2/token 400 documentType',
      body: raw(
        '<!DOCTYPE OAuthRequest><OAuthRequest xmlns="http://schemas.datacontract.org/2004/07/Yindo.DAL.Types"/>',
        'text/xml',
      ),
      headers: acceptJson,
    },
    {
      name: 'Session: other XML',
      response: 'POST /v2/token 400 otherXml',
      about: 'The root element has no namespace.',
      body: raw('<OAuthRequest><grant_type>password</grant_type></OAuthRequest>', 'text/xml'),
      headers: acceptJson,
    },
    {
      name: 'Session: another grant_type',
      response: 'POST /v2/token 400 grantType',
      fields: { grant_type: 'authorization_code' },
    },
    { name: 'Session: another method', response: 'POST /v2/token 405', method: 'PUT' },
    {
      name: 'Session: too long',
      response: 'POST /v2/token 413',
      body: raw('x={{longText}}', form),
      before: makeLongText,
    },
    {
      name: 'Session: another type',
      response: 'POST /v2/token 415',
      body: raw('grant_type=password', 'text/plain'),
    },
  ],
}

const atEnvelope: Folder = {
  name: 'At /v1/oauth/',
  about: 'Branch on `errors.code`: a missing field and a wrong password have status 200.',
  dialect: 'envelope',
  uncached: true,
  items: [
    { name: 'Envelope: a field is missing', response: 'POST /v1/oauth/ 200 missing', fields: { password: null } },
    { name: 'Envelope: wrong password', response: 'POST /v1/oauth/ 200 wrong', fields: { password: 'wrong' } },
    {
      name: 'Envelope: a field is repeated',
      response: 'POST /v1/oauth/ 400',
      about: 'The user name comes in the form and in the query string.',
      fields: { password: 'x' },
      query: { username: 'someone' },
    },
    {
      name: 'Envelope: too long',
      response: 'POST /v1/oauth/ 400',
      body: raw('x={{longText}}', form),
      before: makeLongText,
    },
    { name: 'Envelope: another method', response: 'POST /v1/oauth/ 405', method: 'PUT' },
  ],
}

const atDevice: Folder = {
  name: 'At /auth/login',
  about: 'No error response has a member `token`.',
  dialect: 'device',
  uncached: true,
  items: [
    {
      name: 'Device: a field is missing',
      response: 'POST /auth/login 400 missing',
      about: 'The request has no device key.',
      body: raw('{ "timestamp": {{$timestamp}} }', json),
    },
    {
      name: 'Device: timestamp is not a number',
      response: 'POST /auth/login 400 timestamp',
      body: raw('{ "device_key": "{{$guid}}", "timestamp": "now", "device_signature": "x" }', json),
    },
    { name: 'Device: not JSON', response: 'POST /auth/login 400 notJson', body: raw('device_key=x', json) },
    { name: 'Device: another type', response: 'POST /auth/login 415', body: raw('{}', 'text/plain') },
    {
      name: 'Device: unknown',
      response: 'POST /auth/login 401',
      body: raw('{ "device_key": "{{$guid}}", "timestamp": {{$timestamp}}, "device_signature": "{{zeros}}" }', json),
      before: ["pm.variables.set('zeros', '0'.repeat(64))"],
    },
    { name: 'Device: another method', response: 'POST /auth/login 405', method: 'PUT' },
    {
      name: 'Device: too long',
      response: 'POST /auth/login 413',
      body: raw('{ "device_key": "{{longText}}" }', json),
      before: makeLongText,
    },
    {
      name: 'Device: too many attempts',
      response: 'POST /auth/login 429',
      about: 'The pre-request script sends ten requests with an unknown device key. This request is the eleventh.',
      body: raw('{ "device_key": "{{hasty}}", "timestamp": {{$timestamp}}, "device_signature": "x" }', json),
      before: useUpAttempts,
    },
  ],
}

const elsewhere: Folder = {
  name: 'Elsewhere',
  about: 'What all paths have in common.',
  items: [
    {
      name: 'No such path',
      response: {
        method: 'GET',
        path: '/no-such-path',
        status: 404,
        error: 'not_found',
        situation: 'No endpoint has this path.',
      },
      about: 'The response repeats nothing of the request.',
      auth: 'none',
    },
  ],
}

const refusals: Folder = {
  name: 'Refusals',
  about:
    'Every documented error response that a request can cause. Branch on `error`, which is stable. `error_description` is a sentence for people and may change.',
  items: [
    atToken,
    atUserinfo,
    atSeats,
    withTokenScheme,
    atIntrospect,
    atRevoke,
    atSession,
    atEnvelope,
    atDevice,
    elsewhere,
  ],
}

/** The folders of the collection. */
export const folders: readonly Folder[] = [use, refusals]
