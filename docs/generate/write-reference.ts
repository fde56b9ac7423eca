import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { root } from '../../bench/support/place.ts'
import { writeApiPages } from './write-api-pages.ts'
import { writeCollection, writePages } from './write-pages.ts'

// `npm run docs:reference`: writes every generated file anew
const reference = new URL('docs/reference/', root)
await mkdir(reference, { recursive: true })
for (const [name, page] of Object.entries(await writePages())) await writeFile(new URL(name, reference), page)
await writeApiPages(fileURLToPath(new URL('api/', reference)))
await writeFile(new URL('postman/fastify-password-grant.postman_collection.json', root), await writeCollection())
