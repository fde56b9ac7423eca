import { type Dialect, signsTokens } from '../dialects/dialect.ts'
import { envelopeWithDebug } from '../dialects/envelope.ts'
import { dialects, findSharedPath } from '../dialects/index.ts'
import { webapiParity } from '../dialects/webapi-parity.ts'
import { describeMistake, type SettingName, type Values } from './settings.ts'

type DialectName = keyof typeof dialects

/** Paths of the server's own endpoints. */
const reservedPaths = /^\/(userinfo|seats|introspect|revoke|health|openapi\.yaml|docs|\.well-known)(\/|$)/i

/**
 * Returns the dialects that the environment names, with their paths, lifetimes and variants. Also returns the mistakes:
 * an unknown dialect, a path that is already in use, a missing key.
 */
export function placeDialects(
  values: Values,
  given: Readonly<Record<string, string>>,
): { dialects: readonly Dialect[]; mistakes: string[] } {
  const known = values.DIALECTS.filter(isDialectName)
  const placed = [...new Set(known)].map((name) => placeDialect(name, values))
  const mistakes = known.length === values.DIALECTS.length ? [] : [describeMistake('DIALECTS')]
  for (const name of Object.values(pathNames))
    if (reservedPaths.test(values[name])) mistakes.push(describeMistake(name))
  return { dialects: placed, mistakes: [...mistakes, ...findMismatches(placed, given)] }
}

function isDialectName(name: string): name is DialectName {
  return Object.hasOwn(dialects, name)
}

const pathNames = {
  webapi: 'WEBAPI_PATH',
  'webapi-session': 'WEBAPI_SESSION_PATH',
  envelope: 'ENVELOPE_PATH',
  device: 'DEVICE_PATH',
} as const satisfies Record<DialectName, SettingName>

function placeDialect(name: DialectName, values: Values): Dialect {
  const path = values[pathNames[name]]
  switch (name) {
    case 'webapi':
      return {
        ...(values.WEBAPI_PARITY ? webapiParity : dialects.webapi),
        path,
        defaultClient: values.WEBAPI_DEFAULT_CLIENT,
      }
    case 'webapi-session':
      return { ...dialects['webapi-session'], path }
    case 'envelope': {
      const variant = values.ENVELOPE_DEBUG ? envelopeWithDebug : dialects.envelope
      return { ...variant, path, lifetimeSeconds: values.ENVELOPE_LIFETIME_SECONDS }
    }
    case 'device':
      return { ...dialects.device, path, lifetimeSeconds: values.DEVICE_LIFETIME_SECONDS }
  }
}

/** Finds settings that are valid one by one but do not fit together. */
function findMismatches(placed: readonly Dialect[], given: Readonly<Record<string, string>>): string[] {
  const shared = findSharedPath(placed)
  const mistakes = []
  if (shared) {
    const names = shared.names.map((name) => pathNames[name as DialectName]).join(', ')
    mistakes.push(`${names}: two dialects share the path ${shared.path}; give each its own path`)
  }
  const hasKey = given['ENCRYPTION_KEY'] !== undefined || given['EMBEDDED_FOLDER'] !== undefined
  if (placed.some(signsTokens) && !hasKey) {
    mistakes.push(`${describeMistake('ENCRYPTION_KEY')}, which the device dialect needs`)
  }
  return mistakes
}
