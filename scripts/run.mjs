// Entry of the npm scripts: does the set-up, then what was asked for.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { SetUpError, buildKernels, run, setUp } from './set-up.mjs'

const demoPrompt = 'Fellow citizens of the Senate and House of Representatives, the state of our Union'

/**
 * @typedef {(node: string, args: string[]) => Promise<number>} Command
 * @type {Record<string, { build: boolean, command: Command }>}
 */
const commands = {
  'set-up': { build: true, command: async () => 0 },
  build: { build: true, command: async () => 0 },
  'build:kernels': {
    build: false,
    command: async node => {
      await buildKernels(node)
      return 0
    }
  },
  demo: { build: true, command: demo },
  'bench:peers': { build: true, command: (node, args) => run(node, ['scripts/bench-peers.ts', ...args]) },
  soak: { build: true, command: (node, args) => run(node, ['scripts/soak.ts', ...args]) },
  lint: { build: false, command: lint },
  test: { build: true, command: test },
  'test:unit': { build: true, command: (node, args) => mocha(node, withSpecs(args, 'test/unit/**/*.spec.ts')) }
}

/** @type {Command} */
function demo (node, args) {
  return run(node, [
    'bin/efedllm.mjs', 'swarm', '--peers', '4', '--model', 'models/sotu-4m', '--prompt', demoPrompt, '--max-tokens', '64', ...args
  ], { env: environment(node) })
}

/** @type {Command} */
function lint (node, args) {
  return run(node, [
    'node_modules/eslint/bin/eslint.js', '--max-warnings', '0',
    '--cache', '--cache-strategy', 'content', '--cache-location', 'node_modules/.cache/eslint/',
    ...(args.length > 0 ? args : ['.'])
  ])
}

/** @type {Command} */
async function test (node, args) {
  process.stderr.write('Checking style ...\n')
  const style = await lint(node, [])
  process.stderr.write('Checking types ...\n')
  const types = await run(node, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'])
  // the tests run all the same, so that one run shows everything that is wrong
  const tests = await mocha(node, withSpecs(args, 'test/{unit,conformance,integration}/**/*.spec.ts'), [style === 0 ? '' : 'Style: failed', types === 0 ? '' : 'Types: failed'])
  return style || types || tests
}

/**
 * @param {string[]} args
 * @param {string} all pattern of the specs to run where `args` names none, only options
 * @returns {string[]}
 */
function withSpecs (args, all) {
  return args.some(arg => arg.endsWith('.ts')) ? args : [...args, all]
}

/**
 * Runs mocha and closes with one line that says how many passed and failed.
 *
 * @param {string} node
 * @param {string[]} args
 * @param {string[]} [remarks] lines to put before the last one
 * @returns {Promise<number>}
 */
async function mocha (node, args, remarks = []) {
  const folder = mkdtempSync(join(tmpdir(), 'efedllm-test-'))
  const totals = join(folder, 'totals.json')
  try {
    const code = await run(node, ['node_modules/mocha/bin/mocha.js', '--reporter', 'scripts/mocha-reporter.mjs', ...args], {
      env: { ...environment(node), EFEDLLM_TEST_TOTALS: totals }
    })
    const result = readTotals(totals)
    for (const remark of remarks.filter(Boolean)) console.log(remark)
    console.log(summary(result))
    return code || (result.failed > 0 ? 1 : 0)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} path
 * @returns {{ passed: number, failed: number, skipped: number }} a run that broke off counts as one failure
 */
function readTotals (path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

/** @param {{ passed: number, failed: number, skipped: number }} totals */
function summary ({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * @param {string} node
 * @returns {NodeJS.ProcessEnv} in which `node` is the Node that was chosen, also for processes that tests start
 */
function environment (node) {
  return { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` }
}

const [name, ...args] = process.argv.slice(2)
const chosen = commands[name]
if (chosen === undefined) {
  console.error(`Usage: node scripts/run.mjs ${Object.keys(commands).join('|')}`)
  process.exitCode = 2
} else {
  try {
    process.exitCode = await chosen.command(await setUp({ build: chosen.build }), args)
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}
