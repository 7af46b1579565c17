/** A small writer of safetensors files for tests. */
export interface SafetensorsInput {
  name: string
  dtype: string
  shape: number[]
  data: Uint8Array
}

export function writeSafetensors (tensors: SafetensorsInput[], metadata?: Record<string, string>): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata }
  let offset = 0
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.length] }
    offset += data.length
  }
  return writeRawSafetensors(JSON.stringify(header), ...tensors.map(tensor => tensor.data))
}

/** With a header as given, right or wrong. */
export function writeRawSafetensors (header: string, ...data: Uint8Array[]): Uint8Array {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return new Uint8Array(Buffer.concat([length, text, ...data]))
}
