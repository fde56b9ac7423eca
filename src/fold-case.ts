/**
 * Folds a text for comparisons that ignore letter case: NFC, upper case, lower case, NFC. Upper case comes first, since
 * lower case alone would keep some letters apart (ß and ss, final and middle sigma).
 */
export function foldCase(text: string): string {
  return text.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
