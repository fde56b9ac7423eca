/**
 * Whether a text has at most `maxCharacters` Unicode code points, no control character and no half of a character. Such a
 * text can be stored as UTF-8, and shown on a terminal or a page.
 */
export function isShortText(text: string, maxCharacters: number): boolean {
  const hasLength =
    text.length <= maxCharacters || (text.length <= 2 * maxCharacters && [...text].length <= maxCharacters)
  return hasLength && !/[\p{Cc}\p{Cs}]/u.test(text)
}
