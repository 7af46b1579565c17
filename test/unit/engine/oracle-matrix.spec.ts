import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { dequantiseRow, loadMatrix, multiply, quantiseRows } from '../../../src/engine/oracle/oracle-matrix.ts'
import type { OracleMatrix } from '../../../src/engine/oracle/oracle-matrix.ts'
import { readTensor } from '../../../src/model/index.ts'
import type { TensorType } from '../../../src/model/index.ts'
import { randomIntegers, smallArchitecture, writeRandomWeights } from '../../support/random-weights.ts'

const f = Math.fround

/** Rows of random floats around ±1. */
function randomRows (count: number, columns: number, seed: number): Float32Array {
  const next = randomIntegers(seed)
  return Float32Array.from({ length: count * columns }, () => f((next() % 65536 - 32768) / 20000))
}

describe('oracle: matrices', () => {
  let directory: string
  before(() => { directory = mkdtempSync(join(tmpdir(), 'efedllm-oracle-')) })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const types: TensorType[] = ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q4_K', 'Q5_K', 'Q6_K', 'F16', 'BF16', 'F32']
  for (const [i, type] of types.entries()) {
    it(`${type}: rows are the weights of the file, but for the rounding of conversions`, () => {
      const architecture = smallArchitecture({ hiddenSize: 256, feedForwardSize: 256 })
      const source = writeRandomWeights(directory, type, architecture, type, i + 1).unit(1).tensors.gate!
      const expected = readTensor(source)
      const matrix = loadMatrix(source)
      const row = new Float32Array(256)
      let largest = 0
      for (let n = 0; n < matrix.rows; n++) {
        dequantiseRow(matrix, n, row, 0)
        for (let k = 0; k < 256; k++) {
          const error = Math.abs(row[k] - expected[n * 256 + k])
          if (error > 0) largest = Math.max(largest, error / matrix.scales[n * 8 + (k >> 5)])
        }
      }
      const converted = ['Q6_K', 'F16', 'BF16', 'F32'].includes(type)
      if (converted) expect(largest).above(0.3).below(0.5 + 1e-4)
      else expect(largest).to.equal(0)
    })

    it(`${type}: products are those of the quantised input`, () => {
      const architecture = smallArchitecture({ hiddenSize: 256, feedForwardSize: 256 })
      const matrix = loadMatrix(writeRandomWeights(directory, type, architecture, type, i + 1).unit(1).tensors.gate!)
      const x = randomRows(3, 256, i + 30)
      const quantised = quantiseRows(x, 3)
      const bias = randomRows(1, matrix.rows, 9)
      const out = multiply(matrix, quantised)
      const biased = multiply(matrix, quantised, bias)
      const row = new Float32Array(256)
      for (let n = 0; n < matrix.rows; n += 17) {
        dequantiseRow(matrix, n, row, 0)
        for (let r = 0; r < 3; r++) {
          let exact = 0
          let size = 0
          for (let k = 0; k < 256; k++) {
            const term = row[k] * quantised.codes[r * 256 + k] * quantised.scales[r * 8 + (k >> 5)]
            exact += term
            size += Math.abs(term)
          }
          expect(Math.abs(out[r * matrix.rows + n] - exact)).below(size * 1e-6)
          expect(biased[r * matrix.rows + n]).to.equal(f(out[r * matrix.rows + n] + bias[n]))
        }
      }
    })
  }

  it('rounds every operation by itself: one block worked out by hand', () => {
    const codes = new Int8Array(64).fill(3)
    const matrix: OracleMatrix = { rows: 1, columns: 64, codes, scales: Float32Array.of(f(0.1), f(0.3)), minimums: Float32Array.of(f(-0.7), f(0.9)) }
    const x = quantiseRows(randomRows(1, 64, 77), 1)
    let sum = 0
    for (const b of [0, 1]) {
      const total = x.codes.subarray(b * 32, b * 32 + 32).reduce((a, c) => a + c, 0)
      const S = f(total * x.scales[b])
      let p = f(3 * total * f(matrix.scales[b] * x.scales[b]))
      p = f(p + f(matrix.minimums![b] * S))
      sum = f(sum + p)
    }
    expect(multiply(matrix, x)[0]).to.equal(sum)
  })

  it('is not what fused multiply-add or another order of blocks would give', () => {
    const next = randomIntegers(5)
    const columns = 256
    const matrix: OracleMatrix = {
      rows: 64,
      columns,
      codes: Int8Array.from({ length: 64 * columns }, () => next() % 15 - 7),
      scales: Float32Array.from({ length: 64 * 8 }, () => f((next() % 1000 + 1) / 3000)),
      minimums: null
    }
    const x = quantiseRows(randomRows(1, columns, 78), 1)
    const out = multiply(matrix, x)
    let fused = 0
    let reversed = 0
    for (let n = 0; n < 64; n++) {
      const dots = Array.from({ length: 8 }, (_, b) => {
        let dot = 0
        for (let k = b * 32; k < b * 32 + 32; k++) dot += matrix.codes[n * columns + k] * x.codes[k]
        return dot
      })
      const scale = (b: number) => f(matrix.scales[n * 8 + b] * x.scales[b])
      const plain = dots.reduce((sum, dot, b) => f(sum + f(dot * scale(b))), 0)
      expect(out[n]).to.equal(plain)
      // the exact product fits binary64, so only the addition rounds, as a fused operation does (but for rare double rounding)
      if (dots.reduce((sum, dot, b) => f(sum + dot * scale(b)), 0) !== plain) fused++
      if (dots.reduceRight((sum, dot, b) => f(sum + f(dot * scale(b))), 0) !== plain) reversed++
    }
    expect(fused).above(10)
    expect(reversed).above(10)
  })
})
