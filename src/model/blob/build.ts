import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { HASH_CHUNK_BYTES } from '../constants.ts'
import { BLOCK_BYTES, HASH_BYTES } from './constants.ts'
import { blockCount, encodeBlobHeader, headerByteLength } from './header.ts'
import { layOutSections } from './layout.ts'
import type { BlobKind, Section } from './header.ts'

/** A section that is to be stored: what it is, and its bytes in order; for a section of another blob they are not asked for. */
export interface SectionInput extends Section {
  bytes: () => Iterable<Uint8Array>
}

/** Where the bytes of a blob go, in order but for the header, which comes last. */
export interface BlobSink {
  write (bytes: Uint8Array, position: number): Promise<void>
}

export interface BuiltBlob {
  /** SHA-256 of the header, lower-case hex */
  id: string
  header: Uint8Array
  /** with their offsets */
  sections: Section[]
  dataLength: number
}

export interface BuildOptions {
  signal?: AbortSignal
  /** bytes of data hashed since the last call */
  onBytes?: (count: number) => void
}

/**
 * Makes a blob of sections, which must be in order; without a sink it only
 * finds the id. Memory: one chunk. Lets the event loop run between chunks.
 *
 * @throws RangeError where a section gives another number of bytes than it says; the signal's reason
 */
export async function buildBlob (kind: BlobKind, inputs: readonly SectionInput[], sink?: BlobSink, options: BuildOptions = {}): Promise<BuiltBlob> {
  options.signal?.throwIfAborted()
  const { sections, dataLength } = layOutSections(inputs)
  const start = headerByteLength(sections.length, dataLength)
  const data = createDataWriter(dataLength, start, sink, options)
  for (const section of sections) {
    if (section.blob !== null) continue
    await data.padTo(section.offset)
    for (const bytes of section.bytes()) await data.write(bytes)
    if (data.position !== section.offset + section.byteLength) {
      throw new RangeError(`${section.role}: ${data.position - section.offset} bytes are not the ${section.byteLength} of its type and shape`)
    }
  }
  await data.padTo(dataLength)
  return await finish(kind, sections.map(({ bytes, ...section }) => section), dataLength, data.hashes(), sink)
}

/** Makes a blob of bytes without sections: a tokenizer. */
export async function buildDataBlob (kind: BlobKind, bytes: Uint8Array, sink?: BlobSink, options: BuildOptions = {}): Promise<BuiltBlob> {
  const data = createDataWriter(bytes.length, headerByteLength(0, bytes.length), sink, options)
  await data.write(bytes)
  return await finish(kind, [], bytes.length, data.hashes(), sink)
}

async function finish (kind: BlobKind, sections: Section[], dataLength: number, blockHashes: Uint8Array, sink: BlobSink | undefined): Promise<BuiltBlob> {
  const header = encodeBlobHeader({ kind, sections, dataLength, blockHashes })
  await sink?.write(header, 0)
  return { id: createHash('sha256').update(header).digest('hex'), header, sections, dataLength }
}

interface DataWriter {
  readonly position: number
  write (bytes: Uint8Array): Promise<void>
  padTo (offset: number): Promise<void>
  hashes (): Uint8Array
}

function createDataWriter (dataLength: number, start: number, sink: BlobSink | undefined, { signal, onBytes }: BuildOptions): DataWriter {
  const hashes = new Uint8Array(blockCount(dataLength) * HASH_BYTES)
  let block = createHash('sha256')
  let position = 0

  function hash (bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(bytes.length - at, BLOCK_BYTES - position % BLOCK_BYTES)
      block.update(bytes.subarray(at, at + count))
      at += count
      position += count
      if (position % BLOCK_BYTES === 0 || position === dataLength) {
        hashes.set(block.digest(), Math.floor((position - 1) / BLOCK_BYTES) * HASH_BYTES)
        block = createHash('sha256')
      }
    }
  }

  async function write (bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += HASH_CHUNK_BYTES) {
      signal?.throwIfAborted()
      const chunk = bytes.subarray(at, at + HASH_CHUNK_BYTES)
      if (position + chunk.length > dataLength) throw new RangeError(`more bytes than the ${dataLength} that the sections have`)
      await sink?.write(chunk, start + position)
      hash(chunk)
      onBytes?.(chunk.length)
      await turn()
    }
  }

  return {
    get position () {
      return position
    },
    write,
    async padTo (offset) {
      if (offset > position) await write(new Uint8Array(offset - position))
    },
    hashes: () => hashes
  }
}
