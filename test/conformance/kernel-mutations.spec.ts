import { expect } from 'chai'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { availableVariants } from '../../src/engine/index.ts'
import { createWasmEngine } from '../../src/engine/wasm/engine.ts'
import { logitsOf, withEngine } from '../support/engines.ts'
import { openNamed } from '../support/golden-models.ts'
import type { KernelVariant } from '../../src/engine/index.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Mistakes a kernel could make and still look right: a fused multiply-add, or
 * another order of summation. Each replaces one piece of kernel source; `bytes` of the kernels with dot products of bytes.
 */
const MUTATIONS: Array<{ name: string, file: string, from: string, to: string, fused?: boolean, bytes?: true, model?: string }> = [
  {
    name: 'a fused multiply-add in the matrix product',
    file: 'term.ts',
    from: 'return f32x4.add(product, f32x4.mul(v128.load(scales, 16), S))',
    to: 'return f32x4.relaxed_madd(v128.load(scales, 16), S, product)',
    fused: true,
    model: 'llama-256-q4_1'
  },
  {
    name: 'a fused multiply-add in the residual norm',
    file: 'elementwise.ts',
    from: 'c0 = f32x4.add(c0, f32x4.mul(v0, v0));',
    to: 'c0 = f32x4.relaxed_madd(v0, v0, c0);',
    fused: true
  },
  {
    name: 'a fused multiply-add in exp',
    file: 'exp.ts',
    from: 'p = f32x4.add(f32x4.mul(p, r), v128.load(FLOATS, 160))',
    to: 'p = f32x4.relaxed_madd(p, r, v128.load(FLOATS, 160))',
    fused: true
  },
  {
    name: 'lanes of a norm added in another order',
    file: 'elementwise.ts',
    from: 'addLanes(f32x4.add(f32x4.add(c0, c1), f32x4.add(c2, c3)))',
    to: 'addLanes(f32x4.add(f32x4.add(c0, c2), f32x4.add(c1, c3)))'
  },
  {
    name: 'scales of a product multiplied in another order',
    file: 'term.ts',
    from: 'f32x4.mul(f32x4.convert_i32x4_s(sums), f32x4.mul(v128.load(scales), t))',
    to: 'f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sums), v128.load(scales)), t)'
  },
  {
    name: 'blocks of a product of 4 bits summed in another order',
    file: 'product4.ts',
    from: `        p0 += 32; p1 += 32; p2 += 32; p3 += 32
        tp += 4; sp += 4; Sp += 4`,
    to: `        const jump = <usize>(b == 0 ? blocks - 1 : -1)
        wp += (jump - 1) * recordBytes4<A>()
        p0 += jump * 32; p1 += jump * 32; p2 += jump * 32; p3 += jump * 32
        tp += jump * 4; sp += jump * 4; Sp += jump * 4`,
    model: 'llama-256-q4_1'
  },
  {
    name: 'blocks of a product of 8 bits with dot products of bytes summed in another order',
    file: 'product8.ts',
    bytes: true,
    from: `        w0 += recordBytes8<A>(); w1 += recordBytes8<A>()
        p0 += 32; p1 += 32; q0 += 32; q1 += 32; tp += 4; Sp += 4`,
    to: `        const jump = <usize>(b == 0 ? blocks - 1 : -1)
        w0 += jump * recordBytes8<A>(); w1 += jump * recordBytes8<A>()
        p0 += jump * 32; p1 += jump * 32; q0 += jump * 32; q1 += jump * 32; tp += jump * 4; Sp += jump * 4`
  },
  {
    name: 'blocks of a product of 8 bits with products of 16 bits summed in another order',
    file: 'product8-wide.ts',
    from: `        wp += recordBytes8<A>()
        p0 += 64; p1 += 64; p2 += 64; p3 += 64; tp += 4; Sp += 4`,
    to: `        const jump = <usize>(b == 0 ? blocks - 1 : -1)
        wp += jump * recordBytes8<A>()
        p0 += jump * 64; p1 += jump * 64; p2 += jump * 64; p3 += jump * 64; tp += jump * 4; Sp += jump * 4`
  },
  {
    name: 'a fused multiply-add in low-rank corrections of several tokens',
    file: 'low-rank.ts',
    from: 'f32x4.add(f0, f32x4.mul(f32x4.convert_i32x4_s(d0), f32x4.mul(s0, t)))',
    to: 'f32x4.relaxed_madd(f32x4.convert_i32x4_s(d0), f32x4.mul(s0, t), f0)',
    fused: true,
    model: 'random-compressed'
  },
  {
    name: 'blocks of low-rank corrections of one token summed in another order',
    file: 'low-rank.ts',
    from: `      w0 += RECORD; w1 += RECORD; w2 += RECORD; w3 += RECORD
      c += 16; s += 4`,
    to: `      const jump = <usize>(b == 0 ? blocks - 1 : -1)
      w0 += jump * RECORD; w1 += jump * RECORD; w2 += jump * RECORD; w3 += jump * RECORD
      c += jump * 16; s += jump * 4`,
    model: 'random-compressed'
  },
  {
    name: 'attention weights summed from the last tile to the first',
    file: 'attention.ts',
    from: `    L = f32x4.add(f32x4.add(f32x4.add(f32x4.add(L, e0), e1), e2), e3)
  }`,
    to: `  }
  for (let p = end - 16; p >= from; p -= 16) L = f32x4.add(L, v128.load(p))`
  }
]

describe('mistakes in kernels', function () {
  this.timeout(120_000)
  let folder: string

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'efedllm-kernels-'))
  })

  after(function () {
    rmSync(folder, { recursive: true, force: true })
  })

  /** Kernels with one piece of their source replaced. */
  function compile (file: string, from: string, to: string): Uint8Array {
    const source = join(folder, 'kernels')
    cpSync(join(root, 'src/engine/kernels'), source, { recursive: true })
    const text = readFileSync(join(source, file), 'utf8')
    expect(text.split(from), `${file} has the piece once`).to.have.length(2)
    writeFileSync(join(source, file), text.replace(from, () => to))
    execFileSync(process.execPath, [
      'node_modules/assemblyscript/bin/asc.js', join(source, 'relaxed.ts'), '--baseDir', root, '--outFile', join(folder, 'mutant.wasm'),
      '-O3', '--enable', 'simd,relaxed-simd,threads', '--runtime', 'stub', '--noAssert', '--importMemory', '--sharedMemory',
      '--initialMemory', '1', '--maximumMemory', '65536'
    ], { cwd: root, stdio: 'pipe' })
    return readFileSync(join(folder, 'mutant.wasm'))
  }

  /** 97 positions in one prefill and single steps after it, so that both kinds of product run. */
  async function bits (model: string, kernels?: Uint8Array, variant: KernelVariant = 'relaxed-i16'): Promise<Uint8Array> {
    const weights = openNamed(model)!
    const ids = Uint32Array.from({ length: 97 }, (_, i) => (i * 31 + 7) % weights.architecture.vocabularySize)
    return await withEngine(createWasmEngine, weights, async engine => {
      const session = engine.openSession()
      const logits = await logitsOf(engine, session, ids, 49)
      return new Uint8Array(logits.buffer)
    }, { threads: 1, variant, ...(kernels === undefined ? {} : { kernels }) })
  }

  it('are none in the shipped source, compiled the same way', async function () {
    if (!availableVariants().includes('relaxed-i16')) this.skip()
    const kernels = compile('exp.ts', 'export function exp (', 'export function exp (')
    expect(Buffer.compare(await bits('sotu-4m', kernels), await bits('sotu-4m'))).to.equal(0)
  })

  for (const { name, file, from, to, fused, bytes, model = 'sotu-4m' } of MUTATIONS) {
    it(`are seen: ${name}`, async function () {
      if (!availableVariants().includes('relaxed-i16')) this.skip()
      const kernels = compile(file, from, to)
      const differs = Buffer.compare(await bits(model, kernels, bytes && 'relaxed-i32'), await bits(model)) !== 0
      // a processor without fused multiply-add runs relaxed_madd as two operations, and there is nothing to see
      if (!differs && fused === true && !/x64|arm64/.test(process.arch)) this.skip()
      expect(differs).to.equal(true)
    })
  }
})
