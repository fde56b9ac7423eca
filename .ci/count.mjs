// Prints every failed test with its first message, then the totals on one line. A missing report counts as a failure.
import { readFileSync } from 'node:fs'

const totals = { passed: 0, failed: 0, skipped: 0 }
for (const file of process.argv.slice(2)) {
  try {
    add(JSON.parse(readFileSync(file, 'utf8')), file)
  } catch (error) {
    console.log(`FAILED ${file}: no report can be read (${error.code ?? error.message})`)
    totals.failed += 1
  }
}
const { passed, failed, skipped } = totals
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0

function add(report, reportFile) {
  totals.passed += report.numPassedTests
  totals.failed += report.numFailedTests
  totals.skipped += report.numPendingTests
  for (const file of report.testResults) printFailures(file)
  if (report.success || report.numFailedTests > 0) return
  // A file that cannot be loaded, or an error outside every test.
  totals.failed += 1
  console.log(`FAILED ${reportFile}: the run failed outside its tests`)
}

function printFailures({ name, status, message, assertionResults }) {
  const failures = assertionResults.filter((test) => test.status === 'failed')
  for (const test of failures) printFailure(`${name}: ${test.fullName}`, test.failureMessages.join('\n'))
  if (status === 'failed' && failures.length === 0) printFailure(name, message)
}

function printFailure(title, message) {
  console.log(`FAILED ${title}`)
  for (const line of String(message).split('\n').slice(0, 12)) console.log(`    ${line}`)
}
