import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { decodeBlocks, dequantise, openModel, readTensorBytes, rowsAndColumns } from '../../src/model/index.ts'
import { readGguf } from '../../src/model/gguf/index.ts'
import { toTensorSource } from '../../src/model/tensor/index.ts'
import { blockValues } from '../support/block-values.ts'
import { sharedPath } from '../support/shared-data.ts'

interface GoldenTensor {
  type: string
  /** fastest dimension first, as in the file */
  shape: number[]
  first8: number[]
  sha256_f32le: string
}

const folder = fileURLToPath(new URL('../fixtures/golden/gguf/', import.meta.url))

function sha256 (values: Float32Array): string {
  return createHash('sha256').update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).digest('hex')
}

describe('GGUF files written by llama.cpp', function () {
  for (const name of ['q4_0', 'q4_1', 'q5_0', 'q8_0', 'q4_k_m', 'q6_k', 'f16']) {
    it(`dequantises every tensor of llama-256-${name} to the golden bits`, function () {
      const file = `llama-256-${name}.gguf`
      const path = existsSync(folder + file) ? folder + file : sharedPath('golden', 'gguf', file)
      if (path === undefined) {
        console.log(`      ${file} is not here`)
        return this.skip()
      }
      const golden = JSON.parse(readFileSync(`${folder}llama-256-${name}.json`, 'utf8')).tensors as Record<string, GoldenTensor>
      const { tensors } = readGguf(path)
      expect([...tensors.keys()]).to.have.members(Object.keys(golden))
      for (const [key, tensor] of tensors) {
        const expected = golden[key]
        expect(tensor.type).to.equal(expected.type)
        expect(tensor.shape).to.deep.equal([...expected.shape].reverse())
        const source = toTensorSource(tensor)
        const bytes = readTensorBytes(source)
        const values = dequantise(source.type, bytes)
        expect(Array.from(values.subarray(0, 8)), key).to.deep.equal(expected.first8)
        expect(sha256(values), key).to.equal(expected.sha256_f32le)

        const { rows, columns } = rowsAndColumns(tensor.shape)
        if (rows === 1 || tensor.type === 'F16' || tensor.type === 'Q6_K') continue
        expect(sha256(blockValues(decodeBlocks(source.type, bytes, rows, columns))), `${key} by way of blocks`)
          .to.equal(expected.sha256_f32le)
      }
    })
  }
})

describe('SmolLM2-135M-Instruct, Q4_1 file', function () {
  it('opens, and all of its matrices convert', async function () {
    const path = sharedPath('models', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf')
    if (path === undefined) {
      console.log('      the model is not here')
      return this.skip()
    }
    const model = await openModel(path)
    expect(model.architecture).to.deep.include({ family: 'llama', layerCount: 30, hiddenSize: 576, headSize: 64, tiedEmbedding: true, ropeTheta: 100000 })
    expect(model.hasChatTemplate).to.equal(true)
    expect(model.generation.stopTokenIds).to.include(2)
    for (let unit = 0; unit < 31; unit++) {
      for (const [role, source] of Object.entries(model.unit(unit).tensors)) {
        const { rows, columns } = rowsAndColumns(source.shape)
        if (rows === 1) continue
        const blocks = decodeBlocks(source.type, readTensorBytes(source), rows, columns, source.name)
        expect(blocks.format, role).to.equal(source.type === 'Q8_0' ? 'q8' : 'q4')
        expect(blocks.codes.length).to.equal(rows * columns)
      }
    }
  })
})
