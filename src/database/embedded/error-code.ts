/** The `code` an error carries (errno name, SQLSTATE, exit code), or undefined. */
export function errorCode(error: unknown): string | number | undefined {
  return (error as { code?: string | number } | null | undefined)?.code
}
