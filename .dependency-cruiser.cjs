/**
 * Who may import whom, as two tables; `npm run check:imports` holds them. A room is a folder of src/ or a file beside
 * them. What a room does not name, it may not import; what stands under `types` it may import with `import type` only.
 */
const rooms = {
  // the ground floor: imports nothing of ours
  errors: {},
  secrets: {},
  'http-date': {},
  'fold-case': {},
  'short-text': {},
  'available-cores': {},
  'elapsed-clock': {},
  events: {},
  'hear-signals': {},
  'log-destination': {},
  logger: { uses: ['log-destination'] },
  // rows and what may happen to them
  database: { uses: ['errors'] },
  // a package of its own: knows nothing of our tables
  'database/embedded': {},
  'database/embedded/embedded.ts': { uses: ['database/embedded'] }, // besides what the database may: the lanes on it
  'database/embedded/encryption-key.ts': { uses: ['database/embedded', 'secrets'] },
  passwords: { uses: ['errors', 'secrets', 'fold-case'] },
  clients: {
    uses: ['errors', 'secrets', 'database/database.ts', 'database/batch-lookups.ts'],
    types: ['passwords', 'wire'],
  },
  users: {
    uses: [
      ...['errors', 'secrets', 'fold-case', 'short-text', 'passwords'],
      ...['database/database.ts', 'database/batch-lookups.ts'],
    ],
  },
  throttle: {
    uses: ['errors', 'secrets', 'database/batch-lookups.ts', 'database/bound-query.ts', 'database/to-outage.ts'],
    types: ['database/database.ts'],
  },
  tokens: {
    uses: [
      'errors',
      'secrets',
      'elapsed-clock',
      'database/database.ts',
      'database/batch-lookups.ts',
      'database/bound-query.ts',
    ],
  },
  // for other people's programs: entries and packages of their own that load neither database nor hashing
  bearer: { uses: ['errors', 'elapsed-clock', 'client/client-options.ts'] },
  client: {},
  // what must be true before a token is given
  grants: {
    uses: [
      'errors',
      'secrets',
      'fold-case',
      'passwords',
      'clients',
      'users',
      'tokens',
      'database/to-outage.ts',
      'database/batch-pause.ts',
    ],
    types: ['throttle/throttle.ts', 'database/database.ts', 'database/batch-lookups.ts', 'wire'],
  },
  // what an administrator can do: one function a use case, with its transaction and its event
  operations: {
    uses: ['secrets', 'events', 'passwords', 'clients', 'users', 'tokens', 'database/database.ts'],
  },
  // encodings: forms, JSON, XML, multipart and what headers say of them
  wire: { uses: ['errors', 'short-text'] },
  // words
  dialects: { uses: ['errors', 'http-date', 'wire'], types: ['grants', 'tokens'] },
  // sockets
  http: {
    uses: [
      'errors',
      'events',
      'http-date',
      'wire',
      'dialects/dialect.ts',
      'dialects/index.ts',
      'clients',
      'grants',
      'bearer',
      'throttle/allowance.ts',
    ],
    types: ['dialects', 'tokens', 'throttle/throttle.ts', 'database/readiness.ts'],
  },
  // the plugin: puts the rooms together
  'token-server': {
    uses: [
      ...[
        'errors',
        'events',
        'available-cores',
        'passwords',
        'users',
        'throttle/throttle.ts',
        'throttle/database-throttle.ts',
        'throttle/purge-attempts.ts',
        'tokens',
        'grants',
        'dialects',
        'http',
      ],
      ...['database/batch-lookups.ts', 'database/bound-query.ts'],
    ],
    types: ['database/database.ts'],
  },
  // the program around it
  config: {
    uses: [
      ...['available-cores', 'dialects', 'passwords', 'throttle/throttle.ts', 'tokens/default-token-options.ts'],
      'database/database-url.ts',
    ],
  },
  server: {
    uses: ['errors', 'wire', 'http', 'token-server', 'tokens/token-cache.ts', 'database/readiness.ts'],
    types: ['config', 'database/database.ts'],
  },
  commands: {
    uses: [
      ...['errors', 'secrets', 'http-date', 'passwords', 'operations', 'dialects', 'config', 'server', 'database'],
    ],
    types: ['hear-signals', 'logger', 'clients', 'users', 'tokens'],
  },
  // besides what commands may: where it listens, and that there is a key to sign with
  'commands/serve.ts': { uses: ['http/listeners.ts', 'tokens/signing-keys.ts'] },
  'commands/open-configured.ts': { uses: ['database/embedded'] }, // the one command that knows there are two kinds
  cli: {
    uses: ['errors', 'logger', 'passwords', 'config', 'commands', 'database/advise-operator.ts'],
    types: ['hear-signals', 'database/database.ts'],
  },
  bin: { uses: ['hear-signals', 'cli'] },
  index: {
    uses: [
      ...[
        'errors',
        'events',
        'passwords',
        'clients',
        'users',
        'tokens',
        'operations',
        'wire',
        'dialects',
        'token-server',
        'database',
      ],
      'database/embedded/embedded.ts',
    ],
  },
}

/** Packages and Node's modules: the only places that touch them; `types` may name their types. */
const outside = {
  fastify: { in: ['http', 'token-server', 'server'], types: ['commands', 'bearer'] },
  '@fastify/basic-auth': { in: ['http'] },
  '@fastify/formbody': { in: ['http'] },
  'fastify-plugin': { in: ['token-server', 'bearer'] },
  '@fastify/cors': { in: ['http'] },
  '@fastify/swagger': { in: ['http'] },
  '@fastify/swagger-ui': { in: ['http'] },
  'lru-cache': {
    in: ['tokens/stale-cache.ts', 'throttle', 'bearer/introspect-at.ts'],
  },
  pg: {
    in: [
      ...['database/lane.ts', 'database/listening.ts', 'database/to-outage.ts', 'database/embedded'],
      ...['database/database-url.ts', 'database/grant-to.ts'],
    ],
    types: ['database/postgres.ts', 'database/start-up-settings.ts'],
  },
  'pg-connection-string': { in: ['database/database-url.ts'] },
  argon2: { in: ['passwords/argon2.ts'] },
  '@node-rs/argon2': { in: ['passwords/argon2.ts'] },
  jose: { in: ['tokens/signing-keys.ts', 'tokens/signed-value.ts'] },
  saxes: { in: ['wire/xml.ts'] },
  '@humanwhocodes/momoa': { in: ['wire/read-json.ts'] },
  '@fastify/busboy': { in: ['wire/read-multipart.ts'] },
  'ipaddr.js': { in: ['http/network.ts'] },
  luxon: {
    in: ['database/lane.ts', 'bearer/introspect-at.ts'],
    types: ['http-date', 'tokens', 'users', 'clients', 'bearer'],
  },
  commander: { in: ['cli', 'commands'] },
  pino: { in: ['logger'] },
  'pino-pretty': { in: ['logger'] },
  'sonic-boom': { in: ['log-destination'] },
  'close-with-grace': { in: ['commands/serve.ts'] },
  // randomness and hashes have one place, so that "is this secret enough" is asked once; the embedded engine is
  // a world of its own and takes a random file name from Node
  'node:crypto': { in: ['secrets', 'database/embedded', 'database/migration-files.ts', 'bearer/introspect-at.ts'] },
}

/** Rooms that decide and never touch a file, a socket or a process themselves. */
const pureRooms = [
  'errors',
  'http-date',
  'fold-case',
  'short-text',
  'passwords',
  'clients',
  'users',
  'throttle',
  'tokens',
  'grants',
  'events',
  'operations',
  'wire',
  'dialects',
]

/** How dependency-cruiser marks `import type`. */
const typeOnly = ['type-only']

const literally = (name) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** A room's files: `database` without the room inside it, a file as it is, anything else as folder or file. */
function filesOf(room) {
  if (room.endsWith('.ts')) return `^src/${literally(room)}$`
  if (room === 'database') return '^src/database/(?!embedded/)'
  return `^src/${literally(room)}(/|\\.c?ts$)`
}

const anyOf = (names) => names.map(filesOf)

/** A file with a line of its own may also do what its room may. */
function allowanceOf(room) {
  const around = room.endsWith('.ts') ? rooms[room.split('/')[0]] : {}
  return {
    uses: [...(rooms[room].uses ?? []), ...(around.uses ?? [])],
    types: [...(rooms[room].types ?? []), ...(around.types ?? [])],
    own: room.endsWith('.ts') ? room.split('/')[0] : room,
  }
}

const roomRules = Object.keys(rooms).flatMap((room) => {
  const { uses, types, own } = allowanceOf(room)
  const exceptions = Object.keys(rooms).filter((other) => other.endsWith('.ts') && other.startsWith(`${room}/`))
  const from = { path: filesOf(room), pathNot: anyOf(exceptions) }
  const comment = `${room} may import: ${[own, ...uses].join(', ')}; types of: ${types.join(', ') || 'nobody else'}`
  return [
    {
      name: `room ${room}`,
      comment,
      severity: 'error',
      from,
      to: { path: '^src/', pathNot: anyOf([own, ...uses, ...types]) },
    },
    {
      name: `room ${room}: types only`,
      comment,
      severity: 'error',
      from,
      to: { path: anyOf(types), pathNot: anyOf([own, ...uses]), dependencyTypesNot: typeOnly },
    },
  ]
})

const isNode = (name) => name.startsWith('node:')
const pathOf = (name) =>
  isNode(name) ? `^${literally(name.slice('node:'.length))}$` : `node_modules/(@types/)?${literally(name)}/`

const outsideRules = Object.entries(outside).flatMap(([name, { in: places, types = [] }]) => {
  const comment = `${name} belongs in: ${places.join(', ')}; its types also in: ${types.join(', ') || 'nowhere else'}`
  return [
    {
      name: `only place of ${name}`,
      comment,
      severity: 'error',
      from: { path: '^src/', pathNot: anyOf([...places, ...types]) },
      to: { path: pathOf(name) },
    },
    {
      name: `only place of ${name}: types only`,
      comment,
      severity: 'error',
      from: { path: anyOf(types), pathNot: anyOf(places) },
      to: { path: pathOf(name), dependencyTypesNot: typeOnly },
    },
  ]
})

const packages = Object.keys(outside).filter((name) => !isNode(name))

module.exports = {
  forbidden: [
    ...roomRules.filter(({ to }) => to.path.length > 0),
    ...outsideRules.filter(({ from }) => from.path.length > 0),
    {
      name: 'every room has its line',
      comment: 'A new room needs a line in the table at the top of .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^src/', pathNot: anyOf(Object.keys(rooms)) },
      to: {},
    },
    {
      name: 'every package has its line',
      comment: 'A new package needs a line in the second table of .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: 'node_modules/', pathNot: packages.map(pathOf) },
    },
    {
      name: 'pure rooms touch nothing outside',
      comment: `No node: module in ${pureRooms.join(', ')}.`,
      severity: 'error',
      from: { path: anyOf(pureRooms) },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'nobody waits for the common passwords',
      comment: 'A server never sets a password: import the list where it is asked, with import().',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/passwords/common-passwords\\.json$', dynamic: false },
    },
    {
      name: 'only what is declared',
      comment: 'What src/ imports stands in package.json under dependencies, optionalDependencies or peerDependencies.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined', 'deprecated'] },
    },
    {
      name: 'nothing unresolvable',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    { name: 'no circle', severity: 'error', from: { path: '^src/' }, to: { circular: true } },
    { name: 'no orphan', severity: 'error', from: { path: '^src/', orphan: true }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.cts', '.js'],
      conditionNames: ['import', 'types', 'default', 'node'],
    },
  },
}
