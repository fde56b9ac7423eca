/** What a header says a body is: lower case, without parameters; `''` when it says nothing. */
export function mediaType(header: string | readonly string[] | undefined): string {
  return String(header ?? '')
    .split(';', 1)
    .join()
    .trim()
    .toLowerCase()
}
