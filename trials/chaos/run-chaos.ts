import { playEmbedded, playTwoServers, type SceneOptions, type SceneReport } from './scene.ts'

/** Plays both scenes one after the other, each for half the time. Rejects as `interrupted` does. */
export async function runChaos(options: SceneOptions, interrupted: Promise<never>): Promise<SceneReport[]> {
  const half = { ...options, seconds: options.seconds / 2 }
  const reports: SceneReport[] = []
  for (const play of [playTwoServers, playEmbedded]) reports.push(await play(half, interrupted))
  return reports
}

/** Writes the results as text. */
export function writeReport(reports: readonly SceneReport[]): string {
  return reports.map(writeScene).join('\n\n')
}

function writeScene({ name, counts, kills, echo, proofs, tokens, violations }: SceneReport): string {
  const heading = ['KILL', 'TIMES', 'MEASURED', 'LONGEST TO A SIGN-IN', 'OF THAT SINCE BACK']
  const lines = kills
    .filter(({ count }) => count > 0)
    .map(({ kind, count, measured, longestMs, longestFromBackMs }) => {
      const times = measured > 0 ? [longestMs, longestFromBackMs].map((ms) => `${Math.round(ms)} ms`) : ['-', '-']
      return [kind, String(count), String(measured), ...times]
    })
  const killed = kills.reduce((sum, { count }) => sum + count, 0)
  return [
    `${name}: ${killed} kills, ${proofs} proofs of ${tokens} ended tokens and all living ones`,
    writeColumns([heading, ...lines]),
    `sign-ins: ${counts.signIns} sent, ${counts.acknowledged} acknowledged, ${counts.unknown} unknown`,
    `checks: ${counts.checks} sent, ${counts.checksAnswered} answered with a verdict`,
    `revocations: ${counts.revocations} sent, ${counts.revocationsAcknowledged} acknowledged`,
    `commands: ${counts.commands} run, ${counts.commandsDone} done`,
    `ended tokens accepted by a check begun after the end was known: ${echo.count}, after more than 250 ms: ` +
      `${echo.late}, at the longest after ${Math.round(echo.longestMs)} ms`,
    `violations: ${violations.length}`,
    ...violations.map((violation) => `- ${violation}`),
  ].join('\n')
}

function writeColumns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_title, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
