/** Tells whether a text can be a client's id: 1 to 64 of A-Z a-z 0-9 . _ - */
export function isClientId(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text)
}
