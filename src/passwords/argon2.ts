/** What a new hash costs; RFC 9106 calls them m, t and p. */
export interface Argon2Cost {
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** The two calls this process needs of argon2id, and whose they are. */
export interface Argon2 {
  readonly binding: 'argon2' | '@node-rs/argon2'
  /** An argon2id hash as a PHC string, with a fresh random salt. */
  hash(password: string, cost: Argon2Cost): Promise<string>
  /** Whether the password made this hash. Rejects when the stored text is no argon2 hash. */
  verify(hash: string, password: string): Promise<boolean>
}

/** `@node-rs/argon2` where it loads, since it is twice as fast as `argon2` as distributed; else `argon2`. */
export async function loadArgon2(): Promise<Argon2> {
  return (await loadNodeRs().catch(() => null)) ?? loadNode()
}

/** The optional dependency: N-API, no install script. Rejects where its platform package is missing. */
export async function loadNodeRs(): Promise<Argon2> {
  const { hash, verify } = await import('@node-rs/argon2')
  const argon2id = 2 // its enum is a `const enum`, which erasable TypeScript cannot read
  return {
    binding: '@node-rs/argon2',
    hash: (password, { memoryKib, passes, lanes }) =>
      hash(password, { algorithm: argon2id, memoryCost: memoryKib, timeCost: passes, parallelism: lanes }),
    verify,
  }
}

/** The dependency that is always there. */
export async function loadNode(): Promise<Argon2> {
  const { default: argon2 } = await import('argon2')
  return {
    binding: 'argon2',
    hash: (password, { memoryKib, passes, lanes }) =>
      argon2.hash(password, { type: argon2.argon2id, memoryCost: memoryKib, timeCost: passes, parallelism: lanes }),
    verify: (hash, password) => argon2.verify(hash, password),
  }
}
