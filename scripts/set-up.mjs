// Brings a clone to the state in which everything else can run: packages
// installed, a new enough Node at hand, kernels and TypeScript built. Plain
// JavaScript without dependencies, because it runs before any of that is
// there, on whatever Node (20 or newer) the machine has.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, linkSync, copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')

/** Oldest Node that can run the set-up itself; the oldest that npm 10 came with is 20. */
export const oldestForSetUp = [20, 0]

/** First Node that runs TypeScript files without a flag, and has the WebAssembly features the kernels use. */
export const oldestForProject = [22, 18]

/** What a cold install fetches, measured with an empty npm cache on linux-x64; said to the user before it starts. */
const downloadMegabytes = 100

/**
 * @param {string} version such as `v24.21.0`
 * @param {number[]} least major and minor
 * @returns {boolean}
 */
export function versionAtLeast (version, least) {
  const match = /^v?(\d+)\.(\d+)/.exec(version)
  if (match === null) return false
  const [major, minor] = [Number(match[1]), Number(match[2])]
  return major > least[0] || (major === least[0] && minor >= least[1])
}

/**
 * Names of packages that the lock file asks for and that are not installed in
 * that version. Optional ones are left out: they are for other platforms.
 *
 * @typedef {{ packages?: Record<string, { version?: string, optional?: boolean, devOptional?: boolean, link?: boolean }> }} LockFile
 * @param {LockFile} wanted `package-lock.json`
 * @param {LockFile | undefined} installed `node_modules/.package-lock.json`
 * @returns {string[]}
 */
export function missingPackages (wanted, installed) {
  const there = installed?.packages ?? {}
  return Object.entries(wanted.packages ?? {})
    .filter(([path, entry]) => path !== '' && !entry.optional && there[path]?.version !== entry.version)
    .map(([path]) => path.replace(/^.*node_modules\//, ''))
}

/**
 * One hash over names and contents of files, so that a step runs again exactly
 * when one of its inputs changed.
 *
 * @param {string} base
 * @param {string[]} paths files and folders, relative to `base`
 * @param {string[]} [without] files and folders to leave out, relative to `base`
 * @returns {string}
 */
export function fingerprint (base, paths, without = []) {
  const hash = createHash('sha256')
  const left = new Set(without.map(path => join(base, path)))
  for (const path of paths.map(path => join(base, path)).flatMap(path => filesUnder(path, left)).sort()) {
    const content = readFileSync(path)
    hash.update(`${relative(base, path).split(sep).join('/')}\0${content.length}\0`)
    hash.update(content)
  }
  return hash.digest('hex')
}

/**
 * @param {string} path
 * @param {Set<string>} without
 * @returns {string[]}
 */
function filesUnder (path, without) {
  if (without.has(path) || !existsSync(path)) return []
  try {
    return readdirSync(path).flatMap(name => filesUnder(join(path, name), without))
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOTDIR') return [path]
    throw error
  }
}

/** A step that failed, with a message that is meant to be read as it is. */
export class SetUpError extends Error {
  /** @param {string} message */
  constructor (message) {
    super(message)
    this.name = 'SetUpError'
  }
}

/**
 * Runs a program to its end; its output goes to ours, or is kept and shown only
 * on failure where `quiet` is set.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ quiet?: boolean, env?: NodeJS.ProcessEnv, shell?: boolean }} [options]
 * @returns {Promise<number>} exit code; 128 + number for a signal is not told apart, it is 1
 */
export function run (command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: options.quiet ? ['ignore', 'pipe', 'pipe'] : 'inherit',
      env: options.env ?? process.env,
      shell: options.shell ?? false
    })
    /** @type {Buffer[]} */
    const output = []
    child.stdout?.on('data', chunk => output.push(chunk))
    child.stderr?.on('data', chunk => output.push(chunk))
    // a terminal sends ctrl-C to the child as well: it ends, and then so do we
    const wait = () => {}
    const pass = () => child.kill('SIGTERM')
    process.on('SIGINT', wait)
    process.on('SIGTERM', pass)
    const done = () => {
      process.off('SIGINT', wait)
      process.off('SIGTERM', pass)
    }
    child.on('error', error => {
      done()
      reject(error)
    })
    child.on('close', code => {
      done()
      if (code !== 0 && output.length > 0) process.stderr.write(Buffer.concat(output))
      resolve(code ?? 1)
    })
  })
}

/**
 * @param {string[]} args
 * @returns {Promise<number>}
 */
function npm (args) {
  const { npm_execpath: script, npm_node_execpath: node } = process.env
  if (script !== undefined && /\.c?js$/.test(script)) return run(node ?? process.execPath, [script, ...args], { quiet: true })
  const windows = process.platform === 'win32'
  return run(windows ? 'npm.cmd' : 'npm', args, { quiet: true, shell: windows })
}

/** @param {string} text */
function say (text) {
  process.stderr.write(`${text}\n`)
}

/**
 * @param {string} path relative to the root
 * @returns {any} parsed JSON, whose shape its reader knows
 */
function readJson (path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'))
}

/**
 * @param {() => any} read
 * @returns {any} what `read` gives, or undefined where it throws
 */
function attempt (read) {
  try {
    return read()
  } catch {
    return undefined
  }
}

async function installPackages () {
  const wanted = readJson('package-lock.json')
  const missing = missingPackages(wanted, attempt(() => readJson('node_modules/.package-lock.json')))
  if (missing.length === 0) return
  const all = Object.keys(wanted.packages).length - 1
  say(missing.length === all
    ? `Installing ${all} packages into node_modules (npm ci, about ${downloadMegabytes} MB to download) ...`
    : `Installing packages again, ${missing.length} of ${all} changed or missing (npm ci) ...`)
  const started = Date.now()
  if (await npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']) !== 0) {
    throw new SetUpError('Installing packages failed (npm ci, see above). It needs access to the npm registry.')
  }
  say(`  done in ${Math.round((Date.now() - started) / 1000)} s`)
}

/** Where the npm package `node` has its binary. */
const packagedNode = join(root, 'node_modules', 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

/**
 * Name of the npm package that holds the Node binary of a platform, as the
 * install script of the package `node` makes it.
 *
 * @param {string} platform `process.platform`
 * @param {string} arch `process.arch`
 * @returns {string}
 */
export function runtimePackage (platform, arch) {
  if (platform === 'win32') return `node-win-${arch === 'ia32' ? 'x86' : arch}`
  return `${platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node'}-${platform}-${arch}`
}

/**
 * A Node that can run the project: this one, the one in node_modules, or, where
 * install scripts are off and that one is therefore absent, one fetched now.
 *
 * @returns {Promise<string>} path of the binary
 */
async function findRuntime () {
  if (versionAtLeast(process.version, oldestForProject)) return process.execPath
  if (existsSync(packagedNode)) return packagedNode
  const version = readJson('package.json').devDependencies.node
  const name = runtimePackage(process.platform, process.arch)
  const prefix = join('node_modules', '.runtime')
  say(`This is Node ${process.version}; fetching Node ${version} into node_modules (${name}, about 50 MB to download) ...`)
  const failed = new SetUpError(`Node ${oldestForProject.join('.')} or newer is needed, this is ${process.version}, and ${name}@${version} could not be installed. Install a newer Node and try again.`)
  mkdirSync(join(root, prefix), { recursive: true })
  if (await npm(['install', '--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', prefix, `${name}@${version}`]) !== 0) throw failed
  const fetched = join(root, prefix, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
  if (!existsSync(fetched)) throw failed
  mkdirSync(dirname(packagedNode), { recursive: true })
  try {
    linkSync(fetched, packagedNode)
  } catch {
    copyFileSync(fetched, packagedNode)
  }
  attempt(() => symlinkSync(join('..', 'node', 'bin', 'node'), join(root, 'node_modules', '.bin', 'node')))
  return packagedNode
}

/**
 * Runs a build step unless its stamp says that nothing changed since it last succeeded.
 *
 * @param {string} name
 * @param {string} inputs fingerprint
 * @param {string[]} outputs files that must be there, relative to the root
 * @param {string} message
 * @param {() => Promise<number>} build
 */
async function step (name, inputs, outputs, message, build) {
  const stamp = join(root, 'dist', '.stamps', name)
  const done = attempt(() => readFileSync(stamp, 'utf8'))
  if (done === inputs && outputs.every(path => existsSync(join(root, path)))) return
  say(message)
  rmSync(stamp, { force: true })
  if (await build() !== 0) throw new SetUpError(`${message.replace(/ \.\.\.$/, '')}: failed, see above.`)
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, inputs)
}

/** @param {string} node */
export async function buildKernels (node) {
  const inputs = fingerprint(root, ['src/engine/kernels', 'scripts/build-kernels.mjs', 'node_modules/assemblyscript/package.json'])
  await step('kernels', inputs, ['dist/kernels/relaxed.wasm', 'dist/kernels/plain.wasm', 'dist/kernels/float-product.wasm'], 'Compiling kernels ...', () =>
    run(node, ['scripts/build-kernels.mjs']))
}

/** @param {string} node */
export async function buildTypeScript (node) {
  const inputs = fingerprint(root, ['src', 'tsconfig.json', 'tsconfig.build.json', 'node_modules/typescript/package.json'], ['src/engine/kernels'])
  await step('typescript', inputs, ['dist/cli/index.js'], 'Compiling TypeScript ...', async () => {
    const code = await run(node, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])
    if (code === 0) removeOrphans()
    return code
  })
}

/** Takes out of dist what the compiler made from sources that are no longer there. */
function removeOrphans () {
  const dist = join(root, 'dist')
  for (const path of filesUnder(dist, new Set([join(dist, 'kernels'), join(dist, '.stamps')]))) {
    const source = join(root, 'src', relative(dist, path).replace(/(\.d)?\.[jt]s$/, '.ts'))
    if (!existsSync(source)) rmSync(path)
  }
}

/**
 * Everything that is needed to run the project; steps that are up to date are skipped.
 *
 * @param {{ build?: boolean }} [options] `build: false` leaves kernels and TypeScript alone
 * @returns {Promise<string>} path of the Node binary to run with
 */
export async function setUp (options = {}) {
  if (!versionAtLeast(process.version, oldestForSetUp)) {
    throw new SetUpError(`Node ${oldestForSetUp.join('.')} or newer is needed, this is ${process.version}.`)
  }
  await installPackages()
  const node = await findRuntime()
  if (options.build !== false) {
    await buildKernels(node)
    await buildTypeScript(node)
  }
  return node
}
