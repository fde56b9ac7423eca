const shortestHidden = 4

/**
 * The same error with its password struck out of the message, whether it stands there as it is or percent-encoded. The
 * driver repeats no password: this is for the one that it may repeat some day.
 */
export function hidePassword<T>(error: T, password: unknown): T {
  if (!(error instanceof Error) || typeof password !== 'string' || password.length < shortestHidden) return error
  for (const spelling of [password, encodeURIComponent(password)]) {
    error.message = error.message.replaceAll(spelling, '***')
  }
  return error
}
