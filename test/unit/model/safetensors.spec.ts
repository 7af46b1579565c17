import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { ModelFileError } from '../../../src/model/index.ts'
import { parseSafetensors, readCheckpoint, readSafetensors } from '../../../src/model/safetensors/index.ts'
import type { SafetensorsFile } from '../../../src/model/safetensors/index.ts'
import { memoryByteSource } from '../../../src/model/tensor/index.ts'
import { writeRawSafetensors, writeSafetensors } from '../../support/safetensors-writer.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

function parse (bytes: Uint8Array): SafetensorsFile {
  return parseSafetensors(memoryByteSource('x.safetensors', bytes))
}

function refuse (bytes: Uint8Array, field: string, reason: string): void {
  expect(() => parse(bytes)).to.throw(ModelFileError, reason).with.property('field', field)
}

const entry = (more: object): string => JSON.stringify({ t: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more } })
const eight = new Uint8Array(8)

describe('safetensors headers', function () {
  const folder = temporaryFolder()

  it('refuses files that are cut off anywhere', function () {
    const bytes = writeSafetensors([{ name: 't', dtype: 'F32', shape: [2], data: eight }])
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parse(bytes.subarray(0, length)), `${length} bytes`).to.throw(ModelFileError, 'x.safetensors: ')
    }
  })

  it('refuses absurd header lengths before it reserves anything', function () {
    const bytes = writeRawSafetensors('{}')
    bytes[7] = 0x80
    refuse(bytes, 'header length', 'beyond the end of the file')
  })

  it('refuses headers that are no JSON objects', function () {
    refuse(writeRawSafetensors('{'), 'header', 'not JSON')
    refuse(writeRawSafetensors('[]'), 'header', 'not a JSON object')
    refuse(writeRawSafetensors('{"t":1}'), 'tensor "t"', 'not a JSON object')
    refuse(writeSafetensors([], { a: 1 as never }), '__metadata__ "a"', 'not a string')
    const bytes = writeRawSafetensors('{"a":{}}')
    bytes[10] = 0xff
    refuse(bytes, 'header', 'UTF-8')
  })

  it('refuses broken entries by the name of the tensor', function () {
    refuse(writeRawSafetensors(entry({ dtype: 'F99' }), eight), 'tensor "t".dtype', 'unknown element type "F99"')
    refuse(writeRawSafetensors(entry({ dtype: undefined }), eight), 'tensor "t".dtype', 'unknown element type')
    refuse(writeRawSafetensors(entry({ shape: [-2] }), eight), 'tensor "t".shape', 'list of sizes')
    refuse(writeRawSafetensors(entry({ shape: 2 }), eight), 'tensor "t".shape', 'list of sizes')
    refuse(writeRawSafetensors(entry({ shape: [2 ** 40, 2 ** 40] }), eight), 'tensor "t".shape', 'too many')
    refuse(writeRawSafetensors(entry({ shape: [3] }), eight), 'tensor "t".data_offsets', '8 bytes, but type and shape need 12')
    refuse(writeRawSafetensors(entry({ data_offsets: [0] }), eight), 'tensor "t".data_offsets', 'pair')
    refuse(writeRawSafetensors(entry({ data_offsets: [8, 16] }), eight), 'tensor "t".data_offsets', 'beyond the end')
    refuse(writeRawSafetensors(entry({ more: 1 }), eight), 'tensor "t".more', 'unknown field')
  })

  it('refuses overlaps, holes, and bytes that belong to nothing', function () {
    const pair = (offsets: number[]): string => JSON.stringify({ a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] }, b: { dtype: 'U8', shape: [4], data_offsets: offsets } })
    refuse(writeRawSafetensors(pair([2, 6]), eight), 'tensor "b".offset', 'overlaps tensor "a"')
    refuse(writeRawSafetensors(pair([6, 10]), new Uint8Array(10)), 'tensor "b".data_offsets', 'hole of 2 bytes')
    refuse(writeRawSafetensors(pair([4, 8]), new Uint8Array(9)), 'header', 'but the file has')
  })

  it('refuses names that appear twice', function () {
    const twice = '{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    refuse(writeRawSafetensors(twice, eight), 'header', 'twice')
    refuse(writeRawSafetensors('{"t":{"dtype":"U8","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', eight), 'header', 'twice')
    const odd = 'a":{\\":' // colons, braces and quotes within a name count for nothing
    expect([...parse(writeSafetensors([{ name: odd, dtype: 'F32', shape: [2], data: eight }])).tensors.keys()]).to.deep.equal([odd])
  })

  it('reads back what was written, in any order of the data', function () {
    const header = JSON.stringify({
      __metadata__: { format: 'pt' },
      b: { dtype: 'BF16', shape: [2, 2], data_offsets: [8, 16] },
      a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
      scalar: { dtype: 'I64', shape: [], data_offsets: [16, 24] }
    })
    const bytes = writeRawSafetensors(`${header}  `, new Uint8Array(24))
    const path = folder.write('x.safetensors', bytes)
    const { metadata, tensors } = readSafetensors(path)
    expect(metadata).to.deep.equal({ format: 'pt' })
    const start = bytes.length - 24
    expect(tensors.get('b')).to.deep.equal({ name: 'b', path, type: 'BF16', shape: [2, 2], offset: start + 8, byteLength: 8 })
    expect(tensors.get('scalar')).to.deep.equal({ name: 'scalar', path, type: 'I64', shape: [], offset: start + 16, byteLength: 8 })
  })
})

describe('checkpoints in several files', function () {
  const folder = temporaryFolder()
  const part = (name: string): Uint8Array => writeSafetensors([{ name, dtype: 'F32', shape: [2], data: eight }])

  function make (name: string, files: Record<string, Uint8Array>, index: unknown): string {
    const directory = folder.path(name)
    mkdirSync(directory)
    for (const [file, bytes] of Object.entries(files)) writeFileSync(join(directory, file), bytes)
    if (index !== undefined) writeFileSync(join(directory, 'model.safetensors.index.json'), JSON.stringify(index))
    return directory
  }

  it('refuses a directory without a checkpoint', function () {
    expect(() => readCheckpoint(make('none', {}, undefined))).to.throw(ModelFileError, 'neither')
  })

  it('refuses names of files that lead elsewhere', function () {
    let i = 0
    for (const name of ['../a.safetensors', '/etc/a.safetensors', 'b/a.safetensors', 'b\\a.safetensors', '.a.safetensors', 'a.bin', '', 7, null, 'a.safetensors\0']) {
      const directory = make(`unsafe${i++}`, {}, { weight_map: { t: name } })
      expect(() => readCheckpoint(directory), String(name)).to.throw(ModelFileError, 'not a plain file name').with.property('field', 'weight_map "t"')
    }
  })

  it('refuses an index that contradicts the files', function () {
    expect(() => readCheckpoint(make('list', {}, { weight_map: [] }))).to.throw(ModelFileError, 'weight_map')
    expect(() => readCheckpoint(make('empty', {}, { weight_map: {} }))).to.throw(ModelFileError, 'has 0 tensors')
    expect(() => readCheckpoint(make('lost', {}, { weight_map: { t: 'a.safetensors' } }))).to.throw(ModelFileError, 'ENOENT')
    expect(() => readCheckpoint(make('missing', { 'a.safetensors': part('t') }, { weight_map: { t: 'a.safetensors', u: 'a.safetensors' } })))
      .to.throw(ModelFileError, 'is not in a.safetensors').with.property('field', 'weight_map "u"')
    const files = { 'a.safetensors': part('t'), 'b.safetensors': part('t') }
    const both = make('both', files, { weight_map: { t: 'a.safetensors', u: 'b.safetensors' } })
    expect(() => readCheckpoint(both)).to.throw(ModelFileError, 'is also in').with.property('field', 'tensor "t"')
  })

  it('joins the files of an index', function () {
    const files = { 'a.safetensors': part('t'), 'b.safetensors': part('u') }
    const directory = make('fine', files, { weight_map: { u: 'b.safetensors', t: 'a.safetensors' } })
    const checkpoint = readCheckpoint(directory)
    expect(checkpoint.files).to.deep.equal([join(directory, 'a.safetensors'), join(directory, 'b.safetensors')])
    expect(checkpoint.tensors.get('u')?.path).to.equal(join(directory, 'b.safetensors'))
    // asked for by one of its files, the checkpoint is still whole
    expect(readCheckpoint(directory, join(directory, 'a.safetensors')).tensors.size).to.equal(2)
  })
})
