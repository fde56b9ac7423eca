import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import { type Argon2Cost, loadArgon2 } from './argon2.ts'
import { createHashQueue, type HashPlace, type HashQueueOptions, nobody } from './hash-queue.ts'

/** How passwords are hashed in this process. */
export interface PasswordOptions extends Argon2Cost, Omit<HashQueueOptions, 'queueSeconds'> {
  /** Longest wait for a hash. Default: 5. */
  readonly queueSeconds?: number
}

/** Everything that may happen to a password, behind one bounded queue. A password is an argument here, never kept. */
export interface Passwords {
  readonly binding: string
  /** An argon2id hash at today's cost. */
  hash(password: string, place?: HashPlace): Promise<string>
  /**
   * Whether `password` made `storedHash`. `null` (nobody, or nobody with a password) costs a hash too and is
   * false; a hash at a lower cost than today's is made up for. Rejects as the hash queue does, and with a plain Error for
   * a stored text that is no hash, after the same work.
   */
  match(storedHash: string | null, password: string, place: HashPlace): Promise<boolean>
  /** Throws what a hash would be refused with at this moment, before anything is done for it. */
  requireRoom(place: HashPlace): void
  /** Whether a hash was made with another cost than today's. */
  needsRenewal(storedHash: string): boolean
}

/** OWASP's first choice for argon2id, and a queue for the cores there are. */
export const defaultPasswordOptions = {
  memoryKib: 19_456,
  passes: 2,
  lanes: 1,
  queueLimit: 512,
  queueSeconds: 5,
} as const

/** Loads argon2 and makes up one decoy, the hash of nobody's password. */
export async function createPasswords(options: PasswordOptions): Promise<Passwords> {
  const argon2 = await loadArgon2()
  const inTurn = createHashQueue({
    ...options,
    queueSeconds: options.queueSeconds ?? defaultPasswordOptions.queueSeconds,
  })
  const decoyHash = writeDecoyHash(options)

  async function match(storedHash: string | null, password: string): Promise<boolean> {
    const matches = await argon2.verify(storedHash ?? decoyHash, password).catch(async (cause: unknown) => {
      await argon2.verify(decoyHash, password)
      throw new Error('a stored hash is unreadable', { cause })
    })
    const missing = storedHash === null ? null : findMissingCost(storedHash, options)
    if (missing) await argon2.verify(writeDecoyHash(missing), password)
    return matches && storedHash !== null
  }

  return {
    binding: argon2.binding,
    hash: (password, place = nobody) => inTurn(place, () => argon2.hash(password, options)),
    match: (storedHash, password, place) => inTurn(place, () => match(storedHash, password)),
    requireRoom: inTurn.requireRoom,
    needsRenewal: (storedHash) => !hasCost(storedHash, options),
  }
}

/** The hash of nobody's password: checking it costs by the parameters, whatever the digest is. */
export function writeDecoyHash({ memoryKib, passes, lanes }: Argon2Cost): string {
  const [salt, digest] = [16, 32].map((length) => generateBytes(length).toString('base64').replaceAll('=', ''))
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${salt}$${digest}`
}

const parameters = /^\$argon2id\$(?:v=\d+\$)?((?:[mtp]=\d+,?){3})\$/

/** Writers differ in the order of m, t and p. */
function hasCost(hash: string, cost: Argon2Cost): boolean {
  const written = parameters.exec(hash)?.[1]?.split(',') ?? []
  if (!hash.startsWith('$argon2id$v=19$')) return false
  const expected = [`m=${cost.memoryKib}`, `t=${cost.passes}`, `p=${cost.lanes}`]
  return expected.every((parameter) => written.includes(parameter))
}

/** What a cheaper hash spares; argon2's work is its memory times its passes (RFC 9106 §3.1). Null: nothing worth a call. */
export function findMissingCost(hash: string, { memoryKib, passes, lanes }: Argon2Cost): Argon2Cost | null {
  const written = new Map(
    parameters
      .exec(hash)?.[1]
      ?.split(',')
      .map((parameter) => [parameter.charAt(0), parameter]),
  )
  const [memory, times] = ['m', 't'].map((name) => Number(written.get(name)?.slice(2)))
  const missingKib = Math.floor((memoryKib * passes - (memory ?? 0) * (times ?? 0)) / passes)
  return missingKib >= 8 * lanes ? { memoryKib: missingKib, passes, lanes } : null
}

const longestPasswordBytes = 1024

/** Whether a password is one a user can have: 1 to 1,024 bytes of UTF-8, no NUL. */
export function isPassword(password: string): boolean {
  const bytes = Buffer.byteLength(password)
  return bytes > 0 && bytes <= longestPasswordBytes && !password.includes('\0')
}

/** Refuses a password that nobody can have. Throws OAuthError `invalid_request`. */
export function requirePassword(password: string): void {
  if (isPassword(password)) return
  throw new OAuthError('invalid_request', 'A password has 1 to 1024 bytes of UTF-8 and no NUL.')
}
