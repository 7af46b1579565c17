import { expect } from 'chai'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { availableVariants, createEngine } from '../../../src/engine/index.ts'
import { KERNEL_CACHE_BYTES } from '../../../src/engine/wasm/constants.ts'
import { kernelCacheKey, readKernelChoice, writeKernelChoice } from '../../../src/engine/wasm/kernel-cache.ts'
import type { KernelChoice } from '../../../src/engine/wasm/kernels.ts'
import { layOutMatrix } from '../../../src/engine/wasm/matrix-layout.ts'
import { openNamed } from '../../support/golden-models.ts'
import { wholeModel } from '../../support/open-weights.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const variants = ['relaxed-i16', 'relaxed-i32'] as const
const choice: KernelChoice = { vector: 'relaxed-i16', tile: 'relaxed-i32', bytes: 'relaxed-i16', streams: 4, byteStreams: 1 }

describe('engine: cache of kernel choices', () => {
  const folder = temporaryFolder()
  const key = 'a'.repeat(64)

  it('is ignored where it is absent, damaged, of another machine or of variants that there are not', async () => {
    const read = async (name: string, content: string | Uint8Array) => await readKernelChoice(folder.write(name, content), key, variants)
    expect(await readKernelChoice(folder.path('absent'), key, variants)).to.equal(undefined)
    expect(await readKernelChoice(folder.path(), key, variants)).to.equal(undefined)
    for (const content of ['', '{', '[]', 'null', '7', Uint8Array.of(255, 254), JSON.stringify({ other: choice }), `{"${key}":null}`, `{"${key}":{"vector":1,"tile":2}}`,
      JSON.stringify({ [key]: { vector: 'relaxed-i16', tile: 'relaxed-i32', streams: 4 } }), JSON.stringify({ [key]: { ...choice, bytes: 'faster' } }), ...[undefined, 2].map(byteStreams => JSON.stringify({ [key]: { ...choice, byteStreams } })),
      JSON.stringify({ [key]: { vector: 'plain', tile: 'relaxed-i32' } }), JSON.stringify({ [key]: { vector: 'relaxed-i16', tile: 'faster' } })]) {
      expect(await read('damaged', content), String(content)).to.equal(undefined)
    }
    expect(await read('sound', JSON.stringify({ [key]: choice }))).to.deep.equal(choice)
  })

  it('keeps what it has for others, replaces what is damaged, and leaves no temporary files', async () => {
    const path = folder.path('new/folder/kernels.json')
    await writeKernelChoice(path, key, choice)
    await Promise.all([writeKernelChoice(path, 'b'.repeat(64), choice), writeKernelChoice(path, key, { vector: 'relaxed-i32', tile: 'relaxed-i32', bytes: 'relaxed-i32', streams: 1, byteStreams: 4 })])
    expect(await readKernelChoice(path, key, variants)).to.not.equal(undefined)
    expect(readdirSync(dirname(path))).to.deep.equal(['kernels.json'])
    folder.write('broken.json', '{"x":')
    await writeKernelChoice(folder.path('broken.json'), key, choice)
    expect(await readKernelChoice(folder.path('broken.json'), key, variants)).to.deep.equal(choice)
  })

  it('does not grow for ever', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [String(index).padStart(64, 'c'), choice]))
    const path = folder.write('many.json', JSON.stringify(many))
    await writeKernelChoice(path, key, choice)
    expect(readFileSync(path).length).to.be.at.most(KERNEL_CACHE_BYTES)
    expect(await readKernelChoice(path, key, variants)).to.deep.equal(choice)
  })

  it('is no failure where it cannot be written', async () => {
    mkdirSync(folder.path('shut'))
    chmodSync(folder.path('shut'), 0o555)
    await writeKernelChoice(folder.path('shut/kernels.json'), key, choice)
    await writeKernelChoice(folder.write('file', 'x') + '/kernels.json', key, choice)
    chmodSync(folder.path('shut'), 0o755)
  })

  it('depends on the kernels, the matrices, the threads and the pages', () => {
    const matrix = (rows: number) => layOutMatrix({ path: '', offset: 0, byteLength: 0, type: 'Q4_0', shape: [rows, 64] }, () => 0)
    const init = { kernels: Uint8Array.of(1), matrices: { four: [matrix(64)], eight: [], tile: [] }, threads: 1, hugePages: false }
    const others = [{ kernels: Uint8Array.of(2) }, { threads: 2 }, { hugePages: true }, ...[{ four: [matrix(128)], eight: [] }, { four: [matrix(64)], eight: [matrix(64)] }, { four: [], eight: [matrix(64)] }].map(matrices => ({ matrices: { ...matrices, tile: [] } }))]
    const keys = [init, ...others.map(other => ({ ...init, ...other }))].map(kernelCacheKey)
    expect(new Set(keys).size).to.equal(7)
    expect(kernelCacheKey({ ...init })).to.equal(keys[0])
  })

  it('saves an engine the measurement', async function () {
    if (availableVariants().length < 3) this.skip()
    const kernelCache = folder.path('engine/kernels.json')
    const start = async () => {
      const engine = await createEngine({ ...wholeModel(openNamed('qwen2')!), threads: 1, kernelCache })
      const { kernels } = engine
      await engine.stop()
      return kernels!
    }
    const measured = await start()
    expect(measured.cached).to.equal(false)
    expect(await start()).to.deep.equal({ ...measured, cached: true })
    // it is the file that decides
    const other: KernelChoice = { vector: 'relaxed-i32', tile: 'relaxed-i16', bytes: 'relaxed-i32', streams: 1, byteStreams: 4 }
    const file = JSON.parse(readFileSync(kernelCache, 'utf8'))
    folder.write('engine/kernels.json', JSON.stringify({ [Object.keys(file)[0]]: other }))
    expect(await start()).to.deep.equal({ ...other, hugePages: measured.hugePages, cached: true })
  })
})
