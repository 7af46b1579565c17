// Compiles the AssemblyScript kernels: one module that uses relaxed SIMD, one
// for engines without it, and one of float products for calibration.

import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root, run } from './set-up.mjs'

const variants = [
  { name: 'relaxed', features: 'simd,relaxed-simd,threads' },
  { name: 'plain', features: 'simd,threads' },
  { name: 'float-product', features: 'simd,threads' }
]

/** The host owns the memory: the modules bring constants (KERNEL_DATA_BYTES), no heap and no checks that trap. */
const flags = [
  '-O3', '--runtime', 'stub', '--noAssert',
  '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'
]

const folder = join(root, 'dist', 'kernels')
mkdirSync(folder, { recursive: true })

for (const { name, features } of variants) {
  const path = join(folder, `${name}.wasm`)
  const unfinished = join(folder, `.${name}.${process.pid}.wasm`)
  const code = await run(process.execPath, [
    'node_modules/assemblyscript/bin/asc.js', `src/engine/kernels/${name}.ts`,
    '--baseDir', root, '--outFile', unfinished, '--enable', features, ...flags
  ])
  if (code !== 0) {
    rmSync(unfinished, { force: true })
    process.exitCode = code
    break
  }
  // by renaming, so that a process that starts meanwhile never reads half a module
  renameSync(unfinished, path)
}
