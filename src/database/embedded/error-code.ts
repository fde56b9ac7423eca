/** Returns the `code` of an error (errno name, SQLSTATE or exit code), or undefined. */
export function errorCode(error: unknown): string | number | undefined {
  return (error as { code?: string | number } | null | undefined)?.code
}
