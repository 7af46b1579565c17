import { expect } from 'chai'
import { ModelFileError, UnsupportedModelError } from '../../../src/model/index.ts'
import { parseGguf, readGguf } from '../../../src/model/gguf/index.ts'
import type { GgufFile } from '../../../src/model/gguf/index.ts'
import { memoryByteSource } from '../../../src/model/tensor/index.ts'
import { f32, list, text, u32, writeGguf } from '../../support/gguf-writer.ts'
import type { GgufField, GgufInput } from '../../support/gguf-writer.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

function parse (bytes: Uint8Array): GgufFile {
  return parseGguf(memoryByteSource('x.gguf', bytes))
}

function refuse (bytes: Uint8Array, field: string, reason: string | RegExp, kind: typeof ModelFileError | typeof UnsupportedModelError = ModelFileError): void {
  let error: unknown
  try {
    parse(bytes)
  } catch (thrown) {
    error = thrown
  }
  expect(error).to.be.instanceOf(kind)
  expect((error as ModelFileError).file).to.equal('x.gguf')
  expect((error as ModelFileError).field).to.equal(field)
  expect((error as ModelFileError).message).to.match(typeof reason === 'string' ? new RegExp(reason) : reason)
}

const vector = (name: string, length = 8) => ({ name, type: 0, shape: [length], data: new Uint8Array(length * 4) })

/** Writes a number over the 8 bytes that hold another. */
function patch (bytes: Uint8Array, from: bigint, to: bigint): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 0; at + 8 <= bytes.length; at++) {
    if (view.getBigUint64(at, true) === from) {
      view.setBigUint64(at, to, true)
      return bytes
    }
  }
  throw new Error('nothing to patch')
}

describe('GGUF headers', function () {
  const folder = temporaryFolder()

  it('refuses a file that is not there, and a directory', function () {
    expect(() => readGguf(folder.path('none.gguf'))).to.throw(ModelFileError, 'ENOENT').with.property('field', 'file')
    expect(() => readGguf(folder.path())).to.throw(ModelFileError, 'is a directory')
  })

  it('refuses other files, versions and byte orders', function () {
    refuse(new Uint8Array(3), 'magic', 'the file ends at byte 3')
    refuse(Buffer.from('PK\u0003\u0004 and more'), 'magic', 'not a GGUF file')
    refuse(writeGguf({ version: 2 }), 'version', 'version 2', UnsupportedModelError)
    refuse(writeGguf({ version: 3 << 24 }), 'version', 'big-endian', UnsupportedModelError)
  })

  it('refuses counts beyond the size of the file before it reserves anything', function () {
    const header = writeGguf({})
    const view = new DataView(header.buffer, header.byteOffset)
    view.setBigUint64(8, 2n ** 63n, true)
    refuse(header, 'tensor_count', '9223372036854775808 is more than')
    view.setBigUint64(8, 100_000n, true)
    refuse(header, 'tensor_count', '100000 needs at least 3200000 bytes')
    view.setBigUint64(8, 0n, true)
    view.setBigUint64(16, 60_000n, true)
    refuse(header, 'metadata_kv_count', '60000 needs at least')
    refuse(patch(writeGguf({ metadata: [['key', text('x'.repeat(77))]] }), 77n, 2n ** 40n), 'metadata "key" length', 'more than the limit')
    refuse(patch(writeGguf({ metadata: [['key', list('uint32', new Array(77).fill(1))]] }), 77n, 4_000_000n), 'metadata "key" length', '4000000 needs at least 16000000 bytes')
  })

  it('refuses a file that is cut off anywhere', function () {
    const bytes = writeGguf({ metadata: [['a', text('b')], ['c', list('string', ['d', 'e'])]], tensors: [vector('t')] })
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parse(bytes.subarray(0, length)), `${length} bytes`).to.throw(ModelFileError, /x\.gguf: .*(ends at byte|end of the file|remain)/)
    }
  })

  it('refuses broken metadata by the name of the key', function () {
    refuse(writeGguf({ metadata: [['a', u32(1)], ['a', u32(1)]] }), 'metadata "a"', 'twice')
    refuse(patch(writeGguf({ metadata: [['abc', u32(0x01020304)]] }), 0x0102030400000004n, 99n), 'metadata "abc"', 'unknown value type 99')
    refuse(writeGguf({ metadata: [['flag', { type: 'uint8', value: 2 } as GgufField]] }).map((byte, i, all) => i === all.indexOf(103) + 1 ? 7 : byte), 'metadata "flag"', '2 is not a bool')
    const broken = writeGguf({ metadata: [['name', text('???')]] })
    broken[broken.indexOf(63)] = 0xff
    refuse(broken, 'metadata "name"', 'UTF-8')
    expect(() => parse(writeGguf({ metadata: [['deep', { type: 'array', of: 'array', value: [{ type: 'array', of: 'array', value: [list('uint8', [1])] }] }]] })))
      .to.throw(ModelFileError, 'nested too deeply')
  })

  it('shows hostile names short and without control characters', function () {
    const key = `\u001b[31m${'x'.repeat(5000)}`
    const error = (() => { try { parse(writeGguf({ metadata: [[key, u32(1)], [key, u32(1)]] })) } catch (thrown) { return thrown as Error } })()
    expect(error).to.be.instanceOf(ModelFileError)
    expect(error?.message).to.have.length.below(400)
    expect(error?.message).not.to.match(/\p{Cc}/u)
  })

  it('refuses a replacement character only where the bytes are broken', function () {
    expect(parse(writeGguf({ metadata: [['name', text('a\ufffdb')]] })).metadata.get('name')).to.equal('a\ufffdb')
  })

  for (const alignment of [0, 3, 48, 2 ** 30]) {
    it(`refuses an alignment of ${alignment}`, function () {
      refuse(writeGguf({ metadata: [['general.alignment', u32(alignment)]] }), 'metadata "general.alignment"', 'power of two')
    })
  }

  it('refuses broken tensors by their name', function () {
    const one = (input: Partial<ReturnType<typeof vector>>): Uint8Array => writeGguf({ tensors: [{ ...vector('t'), ...input }] })
    refuse(one({ shape: [] }), 'tensor "t".dimensions', '0 is not 1 to 4')
    refuse(one({ shape: [1, 1, 1, 1, 8] }), 'tensor "t".dimensions', '5 is not 1 to 4')
    refuse(one({ shape: [0] }), 'tensor "t".shape', 'dimension 0 is 0')
    refuse(one({ shape: [2 ** 40, 2 ** 40] }), 'tensor "t".shape', 'too many elements')
    refuse(one({ shape: [9] }), 'tensor "t".offset', 'end of the file')
    refuse(one({ type: 77 }), 'tensor "t".type', 'unknown element type 77')
    refuse(one({ type: 10 }), 'tensor "t".type', 'Q2_K is not supported', UnsupportedModelError)
    refuse(one({ type: 2, shape: [33] }), 'tensor "t".shape', 'rows of 33 are not whole Q4_0 blocks')
    refuse(one({ type: 12, shape: [4, 64] }), 'tensor "t".shape', 'rows of 64 are not whole Q4_K blocks')
  })

  it('refuses names that appear twice, offsets that overlap or are not aligned', function () {
    refuse(writeGguf({ tensors: [vector('t'), vector('t')] }), 'tensor "t"', 'twice')
    const pair: GgufInput = { tensors: [vector('first', 32), vector('second', 32)] }
    refuse(patch(writeGguf(pair), 128n, 64n), 'tensor "second".offset', 'overlaps tensor "first"')
    refuse(patch(writeGguf(pair), 128n, 100n), 'tensor "second".offset', 'multiple of the alignment')
    refuse(patch(writeGguf(pair), 128n, 2n ** 60n), 'tensor "second".offset', 'out of range')
  })

  it('reads back what was written: every type of value', function () {
    const metadata: Array<[string, GgufField]> = [
      ['u8', { type: 'uint8', value: 255 }],
      ['i8', { type: 'int8', value: -128 }],
      ['u16', { type: 'uint16', value: 65535 }],
      ['i16', { type: 'int16', value: -32768 }],
      ['u32', u32(4294967295)],
      ['i32', { type: 'int32', value: -2147483648 }],
      ['f32', f32(1.5)],
      ['f64', { type: 'float64', value: 0.1 }],
      ['yes', { type: 'bool', value: true }],
      ['no', { type: 'bool', value: false }],
      ['text', text('grüße 🎈')],
      ['u64', { type: 'uint64', value: 2n ** 53n - 1n }],
      ['big', { type: 'uint64', value: 2n ** 64n - 1n }],
      ['i64', { type: 'int64', value: -5n }],
      ['texts', list('string', ['a', '', 'ü'])],
      ['numbers', list('int32', [1, -2])],
      ['lists', { type: 'array', of: 'array', value: [list('uint8', [1]), list('string', ['x'])] }],
      ['empty', list('float32', [])]
    ]
    const file = parse(writeGguf({ metadata }))
    expect(Object.fromEntries(file.metadata)).to.deep.equal({
      u8: 255,
      i8: -128,
      u16: 65535,
      i16: -32768,
      u32: 4294967295,
      i32: -2147483648,
      f32: 1.5,
      f64: 0.1,
      yes: true,
      no: false,
      text: 'grüße 🎈',
      u64: 2 ** 53 - 1,
      big: 2n ** 64n - 1n,
      i64: -5,
      texts: ['a', '', 'ü'],
      numbers: [1, -2],
      lists: [[1], ['x']],
      empty: []
    })
    expect(file.tensors.size).to.equal(0)
  })

  for (const alignment of [8, 32, 256]) {
    it(`finds tensors at an alignment of ${alignment}`, function () {
      const data = [1, 2, 3].map(value => new Uint8Array(18 * 4).fill(value))
      const bytes = writeGguf({
        alignment,
        metadata: [['general.alignment', u32(alignment)]],
        tensors: data.map((part, i) => ({ name: `t${i}`, type: 2, shape: [2, 64], data: part }))
      })
      const { tensors } = readGguf(folder.write(`${alignment}.gguf`, bytes))
      data.forEach((part, i) => {
        const { type, shape, offset, byteLength } = tensors.get(`t${i}`)!
        expect({ type, shape, byteLength }).to.deep.equal({ type: 'Q4_0', shape: [2, 64], byteLength: 72 })
        expect(offset % alignment).to.equal(0)
        expect(bytes.subarray(offset, offset + byteLength)).to.deep.equal(part)
      })
    })
  }
})
