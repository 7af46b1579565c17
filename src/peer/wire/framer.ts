import { FrameError } from '../errors.ts'
import { checkHeaderStart } from './frame.ts'
import { HEADER_BYTES } from './kinds.ts'

/** What a libp2p stream delivers: `Uint8Array`, or `Uint8ArrayList`, which iterates over its parts. */
export type Chunk = Uint8Array | Iterable<Uint8Array>

/** Reserved for a frame at first; the buffer doubles as bytes arrive, so that a header alone reserves little. */
const FIRST_BYTES = 16 << 10

/** Cuts a stream of bytes into frames. Holds at most one frame of `cap` bytes. */
export interface Framer {
  /** Calls `onFrame` for each frame that is complete, in order; throws FrameError and is of no use afterwards. */
  push (chunk: Chunk): void
  /** bytes reserved for a frame that is not complete */
  readonly bufferedBytes: number
}

/** What starts a frame: its least length, and a look at its first 8 bytes, which throws FrameError. */
export interface FrameStart {
  least: number
  check: (start: Uint8Array) => void
}

const STAGE_FRAME: FrameStart = { least: HEADER_BYTES, check: checkHeaderStart }

/** `onFrame` gets a buffer of its own, aligned to 8 bytes. */
export function createFramer (cap: number, onFrame: (frame: Uint8Array) => void, { least, check } = STAGE_FRAME): Framer {
  const start = new Uint8Array(8)
  /** bytes of the present frame so far, and its length once the first 8 bytes are there */
  let filled = 0
  let length = 0
  let buffer: Uint8Array | undefined

  function take (part: Uint8Array): void {
    let at = 0
    while (at < part.length) {
      if (filled < 8) {
        const count = Math.min(8 - filled, part.length - at)
        start.set(part.subarray(at, at + count), filled)
        filled += count
        at += count
        if (filled < 8) return
        length = (start[0] | start[1] << 8 | start[2] << 16 | start[3] << 24) >>> 0
        check(start)
        if (length < least || length % 8 !== 0) throw new FrameError('length', `is ${length}`)
        if (length > cap) throw new FrameError('length', `is ${length}, ${cap} are allowed`)
        buffer = new Uint8Array(Math.min(length, Math.max(FIRST_BYTES, part.length - at + 8)))
        buffer.set(start)
      }
      const count = Math.min(length - filled, part.length - at)
      if (filled + count > buffer!.length) buffer = grow(buffer!, filled, Math.min(length, Math.max(2 * buffer!.length, filled + count)))
      buffer!.set(part.subarray(at, at + count), filled)
      filled += count
      at += count
      if (filled === length) {
        const frame = buffer!
        filled = 0
        buffer = undefined
        onFrame(frame)
      }
    }
  }

  return {
    push (chunk) {
      if (chunk instanceof Uint8Array) take(chunk)
      else for (const part of chunk) take(part)
    },
    get bufferedBytes () {
      return buffer?.length ?? 0
    }
  }
}

function grow (buffer: Uint8Array, filled: number, size: number): Uint8Array {
  const larger = new Uint8Array(size)
  larger.set(buffer.subarray(0, filled))
  return larger
}
