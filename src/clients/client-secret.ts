/** What makes a secret hard enough to guess that a fast hash of it tells nothing. */
const longSecretLength = 32

/** Whether a secret may be guessable from a fast hash, so that it needs argon2id. */
export function isShortSecret(secret: string): boolean {
  return [...secret].length < longSecretLength
}
