import type { Reporter, TestModule } from 'vitest/node'

/** Closes the run with one line of counts, names what was skipped, and in CI makes a skipped test a failure. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        counts[state] += 1
        if (state === 'skipped') console.log(`skipped: ${module.relativeModuleId} > ${test.fullName}`)
      }
    }
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
    if (process.env.CI && counts.skipped > 0) {
      console.error('In CI a skipped test is a failure: install what it needs.')
      process.exitCode = 1
    }
  }
}
