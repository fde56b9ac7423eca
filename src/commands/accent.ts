import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

/** The one accent colour of the command line. */
export const accentColour = 'cyan'

/** Colours text for a stream. Returns it unchanged when the stream is no terminal or NO_COLOR is set. */
export function accent(text: string, stream: Writable): string {
  return styleText(accentColour, text, { stream })
}
