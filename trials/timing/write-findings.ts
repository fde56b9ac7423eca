import { type Finding, isLeak } from './family.ts'

/** Writes the findings as a table. */
export function writeFindings(findings: readonly Finding[]): string {
  const heading = [
    'FAMILY',
    'KIND',
    'N',
    'MEDIAN MS',
    'QUICKEST',
    'TO THE FIRST',
    'MARGIN',
    'BOUND',
    'FOUND FROM',
    'VERDICT',
  ]
  const rows = findings.map((finding) => [
    finding.family,
    finding.kind,
    String(finding.count),
    finding.medianMs.toFixed(3),
    finding.quickestMs.toFixed(3),
    `${finding.ms < 0 ? '' : '+'}${finding.ms.toFixed(3)}`,
    finding.marginMs.toFixed(3),
    finding.boundMs.toFixed(3),
    finding.foundFromMs.toFixed(3),
    writeVerdict(finding),
  ])
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]) => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return [heading, ...rows].map((cells) => line(cells).trimEnd()).join('\n')
}

function writeVerdict(finding: Finding): string {
  const { verdict, excuse } = finding
  return isLeak(finding)
    ? `LEAK: ${verdict}`
    : verdict === 'alike' || excuse === null
      ? verdict
      : `${verdict} (${excuse})`
}
