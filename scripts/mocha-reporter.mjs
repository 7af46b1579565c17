// Mocha's own `spec` output, and its totals as JSON for scripts/run.mjs.

import { writeFileSync } from 'node:fs'
import Mocha from 'mocha'

export default class Reporter extends Mocha.reporters.Spec {
  /**
   * @param {Mocha.Runner} runner
   * @param {Mocha.MochaOptions} options
   */
  constructor (runner, options) {
    super(runner, options)
    // a file, not a line of output: mocha may still print after the end
    runner.once('end', () => {
      const path = process.env.EFEDLLM_TEST_TOTALS
      if (path === undefined) return
      const { passes, failures, pending } = this.stats
      writeFileSync(path, JSON.stringify({ passed: passes, failed: failures, skipped: pending }))
    })
  }
}
