import { fileURLToPath } from 'node:url'
import { Application, Converter, ReflectionKind } from 'typedoc'
import { root } from '../../bench/support/place.ts'

/** The entries of the package, by the name to import them with. */
const entries = [
  { file: 'src/index.ts', name: 'fastify-password-grant' },
  { file: 'src/bearer/index.ts', name: 'fastify-password-grant/bearer' },
  { file: 'src/client/index.ts', name: 'fastify-password-grant/client' },
]

/** How the plugin lays a page out: short, with tables for what has several rows. */
const layout = {
  router: 'module',
  hideBreadcrumbs: true,
  hidePageHeader: true,
  parametersFormat: 'table',
  propertiesFormat: 'table',
  interfacePropertiesFormat: 'table',
  classPropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
}

/** Writes the pages of the package's exports into a folder, from the comments in `src/`. Empties the folder first. */
export async function writeApiPages(folder: string): Promise<void> {
  const at = (path: string) => fileURLToPath(new URL(path, root))
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: entries.map(({ file }) => at(file)),
    tsconfig: at('tsconfig.build.json'),
    name: 'API',
    readme: 'none',
    logLevel: 'Warn',
    // nothing that another machine or another day would write differently
    disableSources: true,
    disableGit: true,
    hideGenerator: true,
    excludePrivate: true,
    excludeInternal: true,
    excludeExternals: true,
    ...layout,
  })
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
      module.name = entries.find(({ file }) => file === `src/${module.name}/index.ts`)?.name ?? entries[0]?.name ?? ''
    }
  })
  const project = await app.convert()
  if (project === undefined) throw new Error('TypeDoc could not read the sources.')
  await app.outputs.writeOutput({ name: 'markdown', path: folder }, project)
}
