#!/usr/bin/env node
// Checks that this Node can run the program before anything else is loaded, so
// that an old one gives a sentence and not a syntax error.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { constants } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const [major, minor] = process.versions.node.split('.').map(Number)

if (major > 22 || (major === 22 && minor >= 18)) {
  const program = join(root, 'dist', 'cli', 'index.js')
  if (existsSync(program)) {
    // some two thousand modules, most of them of libp2p: from the second start on they need not be compiled again
    const { cacheDirectory } = await import(pathToFileURL(join(root, 'dist', 'model', 'data-directory.js')).href)
    module.enableCompileCache(join(cacheDirectory(), 'code'))
    const { main } = await import(pathToFileURL(program).href)
    const code = await main(process.argv.slice(2))
    // what is left in the pipe goes out first, unless its reader has gone
    process.stdout.on('error', () => process.exit(code))
    process.stdout.write('', () => process.exit(code))
  } else {
    fail('efedllm is not built yet: run "npm run build" first.')
  }
} else {
  // a clone has a Node of its own after set-up
  const own = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (existsSync(own) && resolve(process.execPath) !== own) {
    const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
    // a terminal sends ctrl-C to both; the child decides when to end
    process.on('SIGINT', () => {})
    process.on('SIGTERM', () => child.kill('SIGTERM'))
    child.on('error', error => fail(`${own}: ${error.message}`))
    child.on('exit', (code, signal) => process.exit(code ?? 128 + (signal === null ? 1 : constants.signals[signal])))
  } else {
    fail(`efedllm needs Node 22.18 or newer; this is ${process.version}.`)
  }
}

/** @param {string} message */
function fail (message) {
  console.error(message)
  process.exitCode = 1
}
