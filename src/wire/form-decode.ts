/**
 * Decodes one name or value of a form (WHATWG URL §5.1). Returns null for broken percent-encoding and for bytes that
 * are not UTF-8.
 */
export function formDecode(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return null
  }
}
