/**
 * Reads the whole seconds of `Retry-After` (RFC 9110 §10.2.3), at least one; null when the header is missing or
 * unreadable. Compares a date with the answer's own `Date`, so that a wrong local clock changes nothing.
 */
export function readRetryAfter(headers: Headers): number | null {
  const text = headers.get('retry-after')?.trim() ?? ''
  const seconds = /^\d+$/.test(text) ? Number(text) : (readDate(text) - now(headers)) / 1000
  return Number.isNaN(seconds) ? null : Math.max(1, Math.ceil(seconds))
}

function now(headers: Headers): number {
  const answered = readDate(headers.get('date') ?? '')
  return Number.isNaN(answered) ? Date.now() : answered
}

/** RFC 9110 §5.6.7: the oldest of the three formats omits GMT but means it. */
function readDate(text: string): number {
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return Number.NaN
  return Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
}
