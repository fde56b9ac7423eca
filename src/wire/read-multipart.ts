import { Busboy } from '@fastify/busboy'
import { OAuthError } from '../errors.ts'
import type { Fields } from './fields.ts'
import { gatherFields, maxFields, requireFewFields, requireUtf8 } from './fields.ts'

/**
 * Reads `multipart/form-data` without files. Throws OAuthError `invalid_request` for files, repeated fields, too many
 * fields and an unreadable body.
 */
export async function readMultipart(text: string, contentType: string): Promise<Fields> {
  requireUtf8(text)
  requireFewFields(countDelimiters(text) - 1)
  const given: [name: string, value: string][] = []
  await new Promise<void>((resolve, reject) => {
    const refuse = () => reject(new OAuthError('invalid_request', 'The multipart body could not be read.'))
    try {
      const parser = new Busboy({ headers: { 'content-type': contentType } })
      parser.on('field', (name: string | undefined, value) =>
        name === undefined ? refuse() : given.push([name, value]),
      )
      parser.on('file', (_name, file) => {
        file.on('error', refuse) // the body ends inside the file; without a listener Node would end the process
        file.resume()
        refuse()
      })
      parser.on('error', refuse)
      parser.on('finish', resolve)
      parser.end(text)
    } catch {
      refuse() // the boundary is missing
    }
  })
  requireFewFields(given.length)
  return gatherFields(given)
}

/**
 * Counts the lines that may be delimiters (RFC 2046 §5.1.1), up to the limit. The first has no line break before it.
 */
function countDelimiters(text: string): number {
  return text.split('\n--', maxFields + 3).length - 1
}
