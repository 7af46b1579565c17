/** A small writer of GGUF files for tests; written from the format's description, apart from the reader. */

export type GgufField =
  | { type: 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'float64', value: number }
  | { type: 'uint64' | 'int64', value: bigint }
  | { type: 'bool', value: boolean }
  | { type: 'string', value: string }
  | { type: 'array', of: GgufField['type'], value: GgufField[] }

export interface GgufTensorInput {
  name: string
  /** number of the ggml type */
  type: number
  /** slowest dimension first */
  shape: number[]
  data: Uint8Array
}

export interface GgufInput {
  metadata?: Array<[key: string, field: GgufField]>
  tensors?: GgufTensorInput[]
  alignment?: number
  version?: number
}

const TYPES = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32', 'bool', 'string', 'array', 'uint64', 'int64', 'float64'] as const

export const u32 = (value: number): GgufField => ({ type: 'uint32', value })
export const f32 = (value: number): GgufField => ({ type: 'float32', value })
export const text = (value: string): GgufField => ({ type: 'string', value })
export const list = (of: GgufField['type'], values: unknown[]): GgufField => ({ type: 'array', of, value: values.map(value => ({ type: of, value }) as GgufField) })

function number (method: 'setUint8' | 'setInt8' | 'setUint16' | 'setInt16' | 'setUint32' | 'setInt32' | 'setFloat32' | 'setFloat64', bytes: number, value: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  new DataView(buffer.buffer, buffer.byteOffset)[method](0, value, true)
  return buffer
}

function uint64 (value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)))
  return buffer
}

function string (value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint64(bytes.length), bytes])
}

function fieldBytes (field: GgufField): Buffer {
  switch (field.type) {
    case 'uint8': return number('setUint8', 1, field.value)
    case 'int8': return number('setInt8', 1, field.value)
    case 'uint16': return number('setUint16', 2, field.value)
    case 'int16': return number('setInt16', 2, field.value)
    case 'uint32': return number('setUint32', 4, field.value)
    case 'int32': return number('setInt32', 4, field.value)
    case 'float32': return number('setFloat32', 4, field.value)
    case 'float64': return number('setFloat64', 8, field.value)
    case 'uint64':
    case 'int64': return uint64(field.value)
    case 'bool': return Buffer.from([field.value ? 1 : 0])
    case 'string': return string(field.value)
    case 'array': return Buffer.concat([number('setUint32', 4, TYPES.indexOf(field.of)), uint64(field.value.length), ...field.value.map(fieldBytes)])
  }
}

export function writeGguf ({ metadata = [], tensors = [], alignment = 32, version = 3 }: GgufInput): Uint8Array {
  const pad = (length: number) => Buffer.alloc((alignment - length % alignment) % alignment)
  const infos: Buffer[] = []
  const data: Buffer[] = []
  let offset = 0
  for (const tensor of tensors) {
    infos.push(
      string(tensor.name), number('setUint32', 4, tensor.shape.length), ...[...tensor.shape].reverse().map(uint64),
      number('setUint32', 4, tensor.type), uint64(offset)
    )
    const padding = pad(tensor.data.length)
    data.push(Buffer.from(tensor.data), padding)
    offset += tensor.data.length + padding.length
  }
  const entries = metadata.flatMap(([key, field]) => [string(key), number('setUint32', 4, TYPES.indexOf(field.type)), fieldBytes(field)])
  const header = Buffer.concat([
    Buffer.from('GGUF'), number('setUint32', 4, version), uint64(tensors.length), uint64(metadata.length), ...entries, ...infos
  ])
  return new Uint8Array(Buffer.concat([header, pad(header.length), ...data]))
}
