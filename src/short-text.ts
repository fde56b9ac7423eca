/**
 * Tells whether a text has at most `maxCharacters` Unicode code points, no control character and no lone surrogate. Such a
 * text is safe to store as UTF-8 and to show on a terminal or a page.
 */
export function isShortText(text: string, maxCharacters: number): boolean {
  const hasLength =
    text.length <= maxCharacters || (text.length <= 2 * maxCharacters && [...text].length <= maxCharacters)
  return hasLength && !/[\p{Cc}\p{Cs}]/u.test(text)
}
