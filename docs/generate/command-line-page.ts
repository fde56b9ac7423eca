import type { Argument, Command, Option } from 'commander'
import { buildProgram, exitCodes } from '../../src/cli.ts'
import { sourceNote } from './source-note.ts'
import { writeTable } from './write-table.ts'

/** Writes the page of all commands, from the program that runs them. */
export function writeCommandLinePage(): string {
  const program = buildProgram(() => undefined, '')
  return `# Command line

${sourceNote('the commands in `src/cli.ts` and `src/commands/`')}

Look up every command of \`password-grant\`: its arguments, options, defaults and exit codes.

Every command reads the [settings](settings.md) from the environment and needs a database: \`--embedded\`,
\`EMBEDDED_FOLDER\` or \`DATABASE_URL\`. It works while a server runs on the same database. A command reads passwords,
secrets and customer keys from standard input only, up to the end and without one trailing line break.

## Options of every command

${writeOptions(optionsOf(program))}

With \`--json\`, each command except \`serve\` and \`start\` writes one JSON document to standard output. Without it, the
command writes text for people. Warnings and errors go to standard error.

## Exit codes

${writeTable(
  ['code', 'meaning'],
  Object.entries(exitCodes).map(([code, meaning]) => [`\`${code}\``, meaning]),
)}

${program.commands.map((command) => writeCommand(command, program.name())).join('\n\n')}
`
}

function writeCommand(command: Command, parent: string): string {
  const name = `${parent} ${command.name()}`
  if (command.commands.length === 0) return `## ${name}\n\n${writeDetails(command, name)}`
  const parts = command.commands.map((one) => {
    const inner = `${name} ${one.name()}`
    return `### ${inner}\n\n${writeDetails(one, inner)}`
  })
  return [`## ${name}`, asSentence(command.description()), ...parts].join('\n\n')
}

function writeDetails(command: Command, name: string): string {
  const options = optionsOf(command)
  const parts = [
    asSentence(command.description()),
    `\`\`\`text\n${name} ${writeUsage(command)}\n\`\`\``.replace(' \n', '\n'),
  ]
  if (command.registeredArguments.length > 0) parts.push(writeArguments(command.registeredArguments))
  if (options.length > 0) parts.push(writeOptions(options))
  return parts.join('\n\n')
}

/** Writes arguments and options as you type them. Brackets mark the optional ones. */
function writeUsage(command: Command): string {
  const given = command.registeredArguments.map((one) => (one.required ? `<${one.name()}>` : `[${one.name()}]`))
  const options = optionsOf(command).map(({ flags, mandatory }) => (mandatory ? flags : `[${flags}]`))
  return [...given, ...options].join(' ')
}

function optionsOf(command: Command): Option[] {
  return command.options.filter(({ hidden }) => !hidden)
}

function writeArguments(given: readonly Argument[]): string {
  return writeTable(
    ['argument', 'meaning'],
    given.map((one) => [`\`<${one.name()}>\``, asSentence(one.description)]),
  )
}

function writeOptions(options: readonly Option[]): string {
  return writeTable(
    ['option', 'default', 'meaning'],
    options.map((option) => [`\`${option.flags}\``, describeDefault(option), asSentence(option.description)]),
  )
}

/** An option that turns something off has the default true in commander. */
function describeDefault({ mandatory, negate, defaultValue }: Option): string {
  if (mandatory) return 'required'
  return negate || defaultValue === undefined ? 'none' : `\`${defaultValue}\``
}

function asSentence(description: string): string {
  const sentence = description.charAt(0).toUpperCase() + description.slice(1)
  return sentence.endsWith('.') ? sentence : `${sentence}.`
}
