import { type Setting, type SettingName, settings } from '../../src/config/settings.ts'
import { sourceNote } from './source-note.ts'
import { writeTable } from './write-table.ts'

interface Group {
  readonly title: string
  readonly about: string
  readonly names: readonly SettingName[]
}

const groups: readonly Group[] = [
  {
    title: 'Database',
    about: 'Set `DATABASE_URL` or `EMBEDDED_FOLDER`, not both.',
    names: ['DATABASE_URL', 'EMBEDDED_FOLDER', 'DATABASE_WAIT_SECONDS', 'ENCRYPTION_KEY'],
  },
  {
    title: 'Network',
    about: 'The server speaks plain HTTP. Terminate TLS in a reverse proxy.',
    names: ['HOST', 'PORT', 'PUBLIC_URL', 'TRUST_PROXY', 'CORS_ORIGINS', 'DOCS', 'LOG_LEVEL'],
  },
  {
    title: 'Dialects',
    about: 'Each dialect listens on its own path, which no other endpoint may have.',
    names: [
      'DIALECTS',
      'WEBAPI_PATH',
      'WEBAPI_PARITY',
      'WEBAPI_DEFAULT_CLIENT',
      'WEBAPI_SESSION_PATH',
      'ENVELOPE_PATH',
      'ENVELOPE_DEBUG',
      'DEVICE_PATH',
    ],
  },
  {
    title: 'Tokens',
    about: 'A seat is a user and a device label. It holds one live token.',
    names: [
      'TOKEN_LIFETIME_SECONDS',
      'ENVELOPE_LIFETIME_SECONDS',
      'DEVICE_LIFETIME_SECONDS',
      'MAX_SEATS_PER_USER',
      'TOKEN_CACHE_SECONDS',
      'OUTAGE_LEASE_SECONDS',
    ],
  },
  {
    title: 'Password hashing',
    about:
      'The cost applies to new password hashes. A sign-in renews a hash of another cost. Hashing takes at most `HASH_CONCURRENCY` × `ARGON2_MEMORY_KIB` of memory.',
    names: [
      'ARGON2_MEMORY_KIB',
      'ARGON2_PASSES',
      'ARGON2_LANES',
      'HASH_CONCURRENCY',
      'HASH_QUEUE_LIMIT',
      'HASH_QUEUE_SECONDS',
    ],
  },
  {
    title: 'Throttling',
    about:
      'The server counts failed attempts, never successful sign-ins with a password. A network is an IPv4 address or an IPv6 /64. It is known to a user who has signed in from it.',
    names: [
      'THROTTLE',
      'THROTTLE_FREE_ATTEMPTS',
      'THROTTLE_LONGEST_WAIT_SECONDS',
      'THROTTLE_FORGET_SECONDS',
      'THROTTLE_STRANGERS_LIMIT',
      'THROTTLE_STRANGERS_SOURCE_LIMIT',
      'THROTTLE_STRANGERS_SECONDS',
      'THROTTLE_NETWORK_NAMES',
      'THROTTLE_KNOWN_NETWORK_DAYS',
    ],
  },
]

/** Writes the page of all settings, from the table that the server reads them with. */
export function writeSettingsPage(): string {
  requireEverySetting()
  return `# Settings

${sourceNote('the table in `src/config/settings.ts`')}

Look up every setting of the server: its default, the values it accepts and what it changes.

All settings are environment variables. An empty variable counts as unset. The server checks all of them when it starts.
If any is wrong, it names every mistake in one error and exits with code 2. The options \`--embedded\`, \`--host\` and
\`--port\` override \`EMBEDDED_FOLDER\`, \`HOST\` and \`PORT\`; see the [command line](command-line.md).

${groups.map(writeGroup).join('\n\n')}
`
}

/** A setting that no group names would be missing from the page. */
function requireEverySetting(): void {
  const grouped = groups.flatMap(({ names }) => names)
  const missing = Object.keys(settings).filter((name) => !grouped.some((one) => one === name))
  if (missing.length > 0) throw new Error(`docs/generate/settings-page.ts has no group for ${missing.join(', ')}.`)
  if (new Set(grouped).size < grouped.length) throw new Error('docs/generate/settings-page.ts names a setting twice.')
}

function writeGroup({ title, about, names }: Group): string {
  const rows = names.map((name) => writeRow(name, settings[name]))
  return `## ${title}\n\n${about}\n\n${writeTable(['variable', 'default', 'meaning', 'accepts'], rows)}`
}

function writeRow(name: SettingName, setting: Setting): string[] {
  return [`\`${name}\``, describeDefault(setting), setting.meaning, setting.expected]
}

function describeDefault({ default: fallback, defaultWords }: Setting): string {
  return defaultWords ?? (fallback === undefined ? 'none' : `\`${fallback}\``)
}
