import { OAuthError } from '../errors.ts'
import { generateBytes } from '../secrets.ts'
import { type Argon2Cost, loadArgon2 } from './argon2.ts'
import { createHashQueue } from './hash-queue.ts'

/** How passwords are hashed in this process. */
export interface PasswordOptions extends Argon2Cost {
  /** Hashes at once. */
  readonly concurrency: number
  /** Hashes waiting before a sign-in is refused with 503. */
  readonly queueLimit: number
}

/** Everything that may happen to a password, behind one bounded queue. A password is an argument here, never kept. */
export interface Passwords {
  readonly binding: string
  /** An argon2id hash at today's cost. */
  hash(password: string): Promise<string>
  /**
   * Whether `password` made `storedHash`. `null` (nobody, or nobody with a password) costs a hash too and is
   * false. Rejects with `temporarily_unavailable` when the queue is full, with a plain Error for a stored
   * text that is no hash, after the same work.
   */
  match(storedHash: string | null, password: string): Promise<boolean>
  /** Whether a hash was made with another cost than today's. */
  needsRenewal(storedHash: string): boolean
}

/** OWASP's first choice for argon2id, and a queue for the cores there are. */
export const defaultPasswordOptions = { memoryKib: 19_456, passes: 2, lanes: 1, queueLimit: 512 } as const

/** Loads argon2 and makes up one decoy, the hash of nobody's password. */
export async function createPasswords(options: PasswordOptions): Promise<Passwords> {
  const argon2 = await loadArgon2()
  const inTurn = createHashQueue(options.concurrency, options.queueLimit)
  const decoyHash = writeDecoyHash(options)

  async function match(storedHash: string | null, password: string): Promise<boolean> {
    const matches = await argon2.verify(storedHash ?? decoyHash, password).catch(async (cause: unknown) => {
      await argon2.verify(decoyHash, password)
      throw new Error('a stored hash is unreadable', { cause })
    })
    return matches && storedHash !== null
  }

  return {
    binding: argon2.binding,
    hash: (password) => inTurn(() => argon2.hash(password, options)),
    match: (storedHash, password) => inTurn(() => match(storedHash, password)),
    needsRenewal: (storedHash) => !hasCost(storedHash, options),
  }
}

/** The hash of nobody's password: checking it costs by the parameters, whatever the digest is. */
export function writeDecoyHash({ memoryKib, passes, lanes }: Argon2Cost): string {
  const [salt, digest] = [16, 32].map((length) => generateBytes(length).toString('base64').replace(/=+$/, ''))
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${salt}$${digest}`
}

const parameters = /^\$argon2id\$v=19\$((?:[mtp]=\d+,?){3})\$/

/** Writers differ in the order of m, t and p. */
function hasCost(hash: string, cost: Argon2Cost): boolean {
  const written = parameters.exec(hash)?.[1]?.split(',') ?? []
  const expected = [`m=${cost.memoryKib}`, `t=${cost.passes}`, `p=${cost.lanes}`]
  return expected.every((parameter) => written.includes(parameter))
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
