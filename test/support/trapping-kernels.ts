/**
 * A WebAssembly module in which chosen exported functions trap, whatever the
 * rest does: their bodies are replaced by `unreachable`.
 */
export function trappingKernels (module: Uint8Array, traps: (name: string) => boolean): Uint8Array {
  const parts: Uint8Array[] = [module.subarray(0, 8)]
  let imported = 0
  const trapping = new Set<number>()
  for (let at = 8; at < module.length;) {
    const id = module[at]
    const [size, start] = readNumber(module, at + 1)
    const end = start + size
    if (id === IMPORTS) imported = countImportedFunctions(module, start)
    if (id === EXPORTS) for (const index of exportedFunctions(module, start, traps)) trapping.add(index)
    parts.push(id === CODE ? replaceBodies(module, start, index => trapping.has(imported + index)) : module.subarray(at, end))
    at = end
  }
  if (trapping.size === 0) throw new Error('no such export')
  return Uint8Array.from(Buffer.concat(parts))
}

const [IMPORTS, EXPORTS, CODE] = [2, 7, 10]
const FUNCTION = 0
/** no locals, `unreachable`, `end` */
const TRAP = [0, 0x00, 0x0b]

/** An unsigned LEB128 number, and where it ends. */
function readNumber (bytes: Uint8Array, at: number): [number, number] {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]
    value |= (byte & 127) << shift
    if (byte < 128) return [value, at]
  }
}

function writeNumber (value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...writeNumber(value >>> 7)]
}

/** The kernels import a memory only; anything else would shift the numbers of their functions. */
function countImportedFunctions (bytes: Uint8Array, start: number): number {
  const [count, first] = readNumber(bytes, start)
  let at = first
  for (let i = 0; i < count; i++) {
    for (let name = 0; name < 2; name++) {
      const [length, text] = readNumber(bytes, at)
      at = text + length
    }
    if (bytes[at] !== 2) throw new Error('an import that is no memory')
    const [flags, limits] = readNumber(bytes, at + 1)
    at = readNumber(bytes, limits)[1]
    if ((flags & 1) === 1) at = readNumber(bytes, at)[1]
  }
  return 0
}

function exportedFunctions (bytes: Uint8Array, start: number, wanted: (name: string) => boolean): number[] {
  const [count, first] = readNumber(bytes, start)
  const indexes: number[] = []
  let at = first
  for (let i = 0; i < count; i++) {
    const [length, text] = readNumber(bytes, at)
    const name = Buffer.from(bytes.subarray(text, text + length)).toString()
    const kind = bytes[text + length]
    const [index, next] = readNumber(bytes, text + length + 1)
    if (kind === FUNCTION && wanted(name)) indexes.push(index)
    at = next
  }
  return indexes
}

function replaceBodies (bytes: Uint8Array, start: number, isReplaced: (index: number) => boolean): Uint8Array {
  const [count, first] = readNumber(bytes, start)
  const parts: Uint8Array[] = [Uint8Array.from(writeNumber(count))]
  let at = first
  for (let index = 0; index < count; index++) {
    const [size, body] = readNumber(bytes, at)
    parts.push(isReplaced(index) ? Uint8Array.from([TRAP.length, ...TRAP]) : bytes.subarray(at, body + size))
    at = body + size
  }
  const content = Buffer.concat(parts)
  return Buffer.concat([Uint8Array.from([CODE, ...writeNumber(content.length)]), content])
}
