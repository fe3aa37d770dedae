/**
 * Suites' outcomes, the table that ends a test run, and its verdict.
 *
 * An outcome: { suite, kernel, passed, failed, skipped: [{name, reason}], failures: [{name, message}], warnings: [line], seconds }
 */
import { existsSync, readFileSync } from 'node:fs'

/**
 * The outcome that a reporter file tells. A run that died before its report, that ran no test, or whose exit code says failure
 * while its report does not, is a failure.
 */
export function readOutcome(suite, kernel, file, { code, warnings = [], seconds }) {
  const outcome = {
    suite,
    kernel,
    passed: 0,
    failed: 0,
    skipped: [],
    failures: [],
    warnings,
    seconds,
  }
  const fail = message => {
    outcome.failed += 1
    outcome.failures.push({ name: suite, message })
  }
  if (!existsSync(file)) {
    fail(`vitest ended with code ${code} and without a report: it found no test file, or died`)
    return { ...outcome, isEmpty: true }
  }
  Object.assign(outcome, JSON.parse(readFileSync(file, 'utf8')))
  if (outcome.passed + outcome.failed === 0) {
    outcome.isEmpty = true
    fail('no test ran')
  } else if (code !== 0 && outcome.failed === 0) fail(`vitest ended with code ${code}`)
  return outcome
}

/** An outcome of a suite that could not be run. */
export function brokenOutcome(suite, kernel, message, seconds) {
  const failures = [{ name: suite, message }]
  return { suite, kernel, passed: 0, failed: 1, skipped: [], failures, warnings: [], seconds }
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const cell = (text, column) =>
    column < 2 ? text.padEnd(widths[column]) : text.padStart(widths[column])
  return rows.map(row => row.map(cell).join('  ').trimEnd()).join('\n')
}

/** True if nothing failed and no kernel complained. */
export function isGood(outcomes) {
  return outcomes.every(outcome => outcome.failed === 0 && outcome.warnings.length === 0)
}

/** What a test run prints last; its last line is `N passed, N failed, N skipped`. */
export function report(outcomes) {
  const lines = []
  for (const { suite, kernel, failures, warnings } of outcomes) {
    const where = kernel === '-' ? suite : `${suite} on ${kernel}`
    for (const { name, message } of failures)
      lines.push(`FAILED  ${where}: ${name}\n        ${message}`)
    for (const warning of warnings) lines.push(`KERNEL  ${where}: ${warning}`)
  }
  for (const { suite, kernel, skipped } of outcomes) {
    const reasons = new Map()
    for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    const where = kernel === '-' ? suite : `${suite} on ${kernel}`
    for (const [reason, count] of reasons) lines.push(`skipped ${where}: ${count} × ${reason}`)
  }
  const head = ['suite', 'kernel', 'passed', 'failed', 'skipped', 'seconds', 'kernel warnings']
  const rows = outcomes.map(o => [
    ...[o.suite, o.kernel, String(o.passed), String(o.failed), String(o.skipped.length)],
    ...[o.seconds.toFixed(1), o.kernel === '-' ? '-' : String(o.warnings.length)],
  ])
  const sum = count => outcomes.reduce((total, outcome) => total + count(outcome), 0)
  lines.push('', table([head, ...rows]), '')
  if (sum(o => o.warnings.length) > 0)
    lines.push('The kernel complained: that is a failure of this run.')
  lines.push(
    `${sum(o => o.passed)} passed, ${sum(o => o.failed)} failed, ${sum(o => o.skipped.length)} skipped`,
  )
  return lines.join('\n')
}
