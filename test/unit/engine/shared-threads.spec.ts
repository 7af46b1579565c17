import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createWasmEngine } from '../../../src/engine/wasm/engine.ts'
import { readKernels } from '../../../src/engine/wasm/kernels.ts'
import type { WasmEngineInit } from '../../../src/engine/wasm/engine.ts'
import type { Engine } from '../../../src/engine/index.ts'
import { allLogits, greedy } from '../../support/engines.ts'
import { openNamed, sotuPath } from '../../support/golden-models.ts'
import { wholeModel } from '../../support/open-weights.ts'
import { trappingKernels } from '../../support/trapping-kernels.ts'

const ids = Uint32Array.of(5, 6, 7, 8, 9)

const source = (folder: string): string => JSON.stringify(fileURLToPath(new URL(`../../../src/${folder}/index.ts`, import.meta.url)))

describe('engine: threads that engines share', () => {
  const weights = openNamed('qwen2')!
  let workers = 0
  const count = (): void => { workers++ }
  const engines: Engine[] = []

  beforeEach(() => {
    workers = 0
    process.on('worker', count)
  })
  afterEach(async () => {
    process.off('worker', count)
    await Promise.all(engines.splice(0).map(async engine => await engine.stop()))
  })

  const start = async (init: Partial<WasmEngineInit> = {}): Promise<Engine> => {
    const engine = await createWasmEngine({ ...wholeModel(weights), threads: 2, variant: 'relaxed-i16', ...init })
    engines.push(engine)
    return engine
  }

  async function failure (promise: Promise<unknown>): Promise<Error & { code?: string }> {
    try {
      await promise
    } catch (error) {
      return error as Error
    }
    throw new Error('was not rejected')
  }

  it('are started once for engines with as many threads', async () => {
    const [first, second] = await Promise.all([start(), start()])
    expect(workers).to.equal(2)
    const alone = await greedy(first, ids, 8)
    expect(await Promise.all([greedy(first, ids, 8), greedy(second, ids, 8), greedy(second, ids, 8)])).to.deep.equal([alone, alone, alone])
    await start({ threads: 3 })
    expect(workers).to.equal(5)
  })

  it('go on while an engine is left, and are started anew after the last one', async () => {
    const [first, second] = [await start(), await start()]
    const session = first.openSession()
    const run = failure(first.run([{ session, position: 0, tokens: new Uint32Array(300) }]))
    const alone = greedy(second, ids, 8)
    await first.stop()
    expect((await run).code).to.equal('ERR_ENGINE_STOPPED')
    expect(await greedy(second, ids, 8)).to.deep.equal(await alone)
    await second.stop()
    expect(workers).to.equal(2)
    expect(await greedy(await start(), ids, 8)).to.deep.equal(await alone)
    expect(workers).to.equal(4)
  })

  it('take engines in turn', async () => {
    const [first, second] = [await start(), await start()]
    const order: string[] = []
    const run = async (name: string, engine: Engine, rows: number): Promise<void> => {
      const session = engine.openSession()
      await engine.run([{ session, position: 0, tokens: new Uint32Array(rows) }])
      order.push(name)
    }
    await Promise.all([run('eight passes', first, 512), run('one pass', second, 64)])
    expect(order).to.deep.equal(['one pass', 'eight passes'])
  })

  it('fail only the engine for which one of them failed', async () => {
    const sound = await start()
    const expected = await greedy(sound, ids, 8)
    // one thread embeds the only row and fails, the other waits for it
    const broken = await start({ kernels: trappingKernels(readKernels('relaxed-i16'), name => name.startsWith('dequantise')) })
    expect(workers).to.equal(2)
    const session = broken.openSession()
    const run = broken.run([{ session, position: 0, tokens: Uint32Array.of(1) }])
    const others = [greedy(sound, ids, 8), greedy(sound, ids, 8)]
    const error = await failure(run)
    expect([error.name, error.code]).to.deep.equal(['WorkerFailedError', 'ERR_WORKER_FAILED'])
    expect(await Promise.all(others)).to.deep.equal([expected, expected])
    expect(workers).to.equal(4)
    expect((await failure(broken.run([{ session, position: 0, tokens: Uint32Array.of(1) }]))).code).to.equal('ERR_WORKER_FAILED')
    // what the sound engine held is still there
    expect(await greedy(sound, ids, 8)).to.deep.equal(expected)
    await broken.stop()
    expect(await greedy(sound, ids, 8)).to.deep.equal(expected)
  })

  it('keep what sessions hold when they are replaced, and load what was being loaded', async () => {
    const sound = await start()
    const session = sound.openSession()
    await sound.run([{ session, position: 0, tokens: ids }])
    const [expected] = await sound.run([{ session, position: 5, tokens: ids, outputs: allLogits(5) }])
    const broken = await start({ kernels: trappingKernels(readKernels('relaxed-i16'), name => name.startsWith('dequantise')) })
    const run = failure(broken.run([{ session: broken.openSession(), position: 0, tokens: Uint32Array.of(1) }]))
    const late = start()
    expect((await run).code).to.equal('ERR_WORKER_FAILED')
    const [again] = await sound.run([{ session, position: 5, tokens: ids, outputs: allLogits(5) }])
    expect(again.rows).to.deep.equal(expected.rows)
    expect(await greedy(await late, ids, 4)).to.deep.equal(await greedy(sound, ids, 4))
  })

  for (const [name, end] of [['idle', ''], ['stopped', 'await first.stop(); await second.stop(); left = process.getActiveResourcesInfo().filter(name => !/Pipe|File|TTY/.test(name))']]) {
    it(`do not keep a process alive that leaves its engines ${name}`, function () {
      this.timeout(20_000)
      const code = `
        import { createEngine } from ${source('engine')}
        import { openWeights } from ${source('model')}
        const { architecture, unit } = openWeights(${JSON.stringify(sotuPath)})
        const init = { architecture, unit, range: { from: 0, to: architecture.layerCount + 2 }, threads: 2 }
        const [first, second] = [await createEngine(init), await createEngine(init)]
        for (const engine of [first, second]) await engine.run([{ session: engine.openSession(), position: 0, tokens: Uint32Array.of(1, 2, 3) }])
        let left = []
        ${end}
        console.log('ran', JSON.stringify(left))`
      const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8', timeout: 15_000 })
      expect({ stdout, stderr, status }).to.deep.equal({ stdout: 'ran []\n', stderr: '', status: 0 })
    })
  }
})
