import { link, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { generateBytes, generateId } from '../../secrets.ts'
import { encryptionKeyFile } from './cluster.ts'
import { errorCode } from './error-code.ts'
import { sync } from './stage.ts'

/**
 * Returns the encryption key in the folder of an embedded database: 32 bytes, in a base64 file that only its owner can
 * read. Creates it once, even when several processes ask at the same time. Throws Error when the file holds something
 * else.
 */
export async function readyEncryptionKey(folder: string): Promise<Buffer> {
  const path = join(folder, encryptionKeyFile)
  const text = (await readKey(path)) ?? (await makeKey(folder, path))
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) throw new Error(`${path} does not hold 32 bytes in base64.`)
  return Buffer.from(text, 'base64')
}

async function readKey(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Writes the key under another name first, so that no process reads half a key. Of two writers the first one wins. */
async function makeKey(folder: string, path: string): Promise<string> {
  const staging = join(folder, `.${encryptionKeyFile}.${generateId()}`)
  try {
    const handle = await open(staging, 'wx', 0o600)
    await handle.writeFile(`${generateBytes(32).toString('base64')}\n`)
    await handle.sync()
    await handle.close()
    await link(staging, path).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error
    })
    await sync(folder)
  } finally {
    await rm(staging, { force: true })
  }
  return (await readFile(path, 'utf8')).trim()
}
