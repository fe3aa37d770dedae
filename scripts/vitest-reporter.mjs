/**
 * A vitest reporter that writes what test.mjs sums up, to the file in ZSLAB_REPORT: counts, failures, and why each skipped test was
 * skipped (which vitest's own JSON leaves out). A file or hook that failed counts as a failure even with no failed test in it.
 */
import { writeFileSync } from 'node:fs'

export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const summary = { passed: 0, failed: 0, skipped: [], failures: [] }
    const fail = (name, errors) => {
      summary.failed += 1
      summary.failures.push({ name, message: errors.map(error => error.message).join('\n') })
    }
    for (const module of modules) {
      const file = module.relativeModuleId ?? module.moduleId
      for (const test of module.children.allTests()) {
        const result = test.result()
        const name = `${file} > ${test.fullName}`
        if (result.state === 'passed') summary.passed += 1
        else if (result.state === 'failed') fail(name, result.errors)
        else summary.skipped.push({ name, reason: result.note ?? 'no reason given' })
      }
      for (const suite of module.children.allSuites()) {
        if (suite.errors().length > 0) fail(`${file} > ${suite.fullName}`, suite.errors())
      }
      if (module.errors().length > 0) fail(file, module.errors())
    }
    for (const error of unhandledErrors) fail('outside any test', [error])
    writeFileSync(process.env.ZSLAB_REPORT, JSON.stringify(summary))
  }
}
