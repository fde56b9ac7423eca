const shortestHidden = 4

/**
 * Removes the password from an error's message, in plain or percent-encoded form, and returns the error. The driver does not
 * put passwords into messages today. This guards against a version that would.
 */
export function hidePassword<T>(error: T, password: unknown): T {
  if (!(error instanceof Error) || typeof password !== 'string' || password.length < shortestHidden) return error
  for (const spelling of [password, encodeURIComponent(password)]) {
    error.message = error.message.replaceAll(spelling, '***')
  }
  return error
}
