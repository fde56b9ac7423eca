import { styleText } from 'node:util'
import type { Command, HelpConfiguration, Option } from 'commander'
import { accentColour } from './accent.ts'

/** Styles `--help`. Commander removes the colours when its output is no terminal or NO_COLOR is set. */
export const helpStyle: HelpConfiguration = {
  showGlobalOptions: true,
  visibleGlobalOptions: listGlobalOptions,
  styleTitle: (title) => styleText('bold', title, { validateStream: false }),
  styleArgumentTerm: highlight,
  styleOptionTerm: highlight,
  styleSubcommandTerm: highlight,
}

function highlight(term: string): string {
  return styleText(accentColour, term, { validateStream: false })
}

/** Lists the options of the commands above, without `--version`, which belongs to the program's own help. */
function listGlobalOptions({ parent }: Command): Option[] {
  if (parent === null) return []
  return [...listGlobalOptions(parent), ...parent.options.filter(({ long }) => long !== '--version')]
}
