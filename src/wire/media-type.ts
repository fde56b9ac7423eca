/** Reads the media type of a Content-Type header, in lower case and without parameters; `''` when there is none. */
export function mediaType(header: string | readonly string[] | undefined): string {
  return String(header ?? '')
    .split(';', 1)
    .join()
    .trim()
    .toLowerCase()
}
