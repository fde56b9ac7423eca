import { isIP } from 'node:net'

/** Reads one kind of setting. */
export interface Reader<Value = unknown> {
  /** Describes the accepted texts. */
  readonly expected: string
  /** Returns the value of a text, or null when the text is invalid. */
  readonly read: (text: string) => Value | null
}

/** Creates a reader of whole numbers. It refuses `0x50` and `1e3`, which `Number` accepts. */
export function wholeNumber(minimum: number, maximum: number): Reader<number> {
  const isRight = (text: string) => /^\d+$/.test(text) && Number(text) >= minimum && Number(text) <= maximum
  return {
    expected: `a whole number from ${minimum} to ${maximum}`,
    read: (text) => (isRight(text) ? Number(text) : null),
  }
}

/** Creates a reader of texts that pass a test. */
export function text(expected: string, isRight: (text: string) => boolean = () => true): Reader<string> {
  return { expected, read: (text) => (isRight(text) ? text : null) }
}

/** Creates a reader of comma lists whose items pass a test. */
export function list(expected: string, isRight: (item: string) => boolean = () => true): Reader<readonly string[]> {
  return {
    expected: `a comma list of ${expected}`,
    read: (text) => {
      const items = text.split(',').map((item) => item.trim())
      return items.every(isRight) ? items : null
    },
  }
}

/** Creates a reader of two words, `yes` for true and `no` for false. */
export function choice(yes: string, no: string): Reader<boolean> {
  return { expected: `${yes} or ${no}`, read: (text) => (text === yes ? true : text === no ? false : null) }
}

/** Creates a reader of paths. They may end with a slash only if the example does. */
export function path(example: string): Reader<string> {
  const pattern = example.endsWith('/') ? /^(\/[A-Za-z0-9._~-]{1,100})+\/?$/ : /^(\/[A-Za-z0-9._~-]{1,100})+$/
  return text(`a path such as ${example} that nothing else has`, (path) => pattern.test(path))
}

/** Creates a reader of bytes in base64. */
export function base64(expected: string, pattern: RegExp): Reader<Buffer> {
  return { expected, read: (text) => (pattern.test(text) ? Buffer.from(text, 'base64') : null) }
}

/** Tells whether a text is an IP address, or a network as `address/bits` of at least one bit. */
export function isNetwork(network: string): boolean {
  const [address = '', bits, ...rest] = network.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** Tells whether a text is an origin as a browser writes it: without a path and without the scheme's default port. */
export function isOrigin(text: string): boolean {
  return /^https?:/.test(text) && URL.canParse(text) && !text.includes('*') && new URL(text).origin === text
}
