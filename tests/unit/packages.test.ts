import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'

interface Manifest {
  readonly version: string
  readonly license: string
  readonly engines: object
  readonly dependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
}

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const server: Manifest = JSON.parse(read('package.json'))
const folders = readdirSync(new URL('../../packages', import.meta.url))

describe.each(folders)('packages/%s', (folder) => {
  const own: Manifest = JSON.parse(read(`packages/${folder}/package.json`))

  test('has the version, the licence and the Node of the server', () => {
    expect(own).toMatchObject({ version: server.version, license: server.license, engines: server.engines })
    expect(read(`packages/${folder}/LICENSE`)).toBe(read('LICENSE'))
  })

  test('takes the same versions of other packages as the server', () => {
    const wanted = { ...own.dependencies, ...own.peerDependencies }
    expect({ ...server.dependencies, ...server.peerDependencies }).toMatchObject(wanted)
  })
})

test('there are packages for a guard, a client and the embedded database', () => {
  expect(folders.toSorted()).toEqual(['client', 'embedded', 'guard'])
})
