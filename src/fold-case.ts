/**
 * A text as it compares when letter case is ignored: NFC, upper-cased, lower-cased, NFC. Upper case first brings together
 * what lower case alone keeps apart (ß and ss, final and middle sigma).
 */
export function foldCase(text: string): string {
  return text.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
