import { readFileSync } from 'node:fs'
import type { RowOutput } from '../../../src/engine/index.ts'
import { encodeFrame, encodeName, encodeOpen, encodeSigned, Kind } from '../../../src/peer/wire/index.ts'
import type { FrameInit } from '../../../src/peer/wire/index.ts'
import { encodeBlockRequest } from '../../../src/peer/blocks/codec.ts'
import { encodeRequest } from '../../../src/peer/directory/codec.ts'
import { withLength } from '../../../src/peer/read-record.ts'
import { createMutator } from '../mutations.ts'
import { integerGenerator, randomBytes } from '../random-bytes.ts'

/** What an attacker knows of the peer, and of the session beside it. */
export interface Target {
  address: string
  peerId: string
  modelId: string
  units: number
  /** id of an honest client's session */
  session: string
}

const golden = (name: string): Uint8Array[] => Object.entries(JSON.parse(readFileSync(new URL(`../../fixtures/protocol/${name}.json`, import.meta.url), 'utf8')) as Record<string, string>)
  .filter(([name]) => !name.startsWith('record:'))
  .map(([, text]) => new Uint8Array(Buffer.from(text, 'hex')))

type Below = (below: number) => number
const pick = <Value> (below: Below, values: readonly Value[]): Value => values[below(values.length)]

/** Kinds of inputs of the stage protocol. */
export const STAGE_INPUTS = ['mutated', 'truncated', 'oversized', 'random', 'wrongState'] as const
export type StageInput = typeof STAGE_INPUTS[number]

/** An endless row of inputs for the stream of a stage; `self` is the attacker's own PeerId. */
export function stageInputs (target: Target, self: string, seed: number): (kind: StageInput) => Uint8Array {
  const below = integerGenerator(seed)
  const sessions = Array.from({ length: 4 }, (_value, index) => Buffer.from(randomBytes(16, seed + index)).toString('hex'))
  const wrong = wrongStates(target, self, [...sessions, target.session], below)
  const originals = [...golden('golden'), ...Array.from({ length: 40 }, wrong)]
  const mutators = originals.map((bytes, index) => createMutator(bytes, bytes.length, seed + index))
  return kind => {
    switch (kind) {
      case 'mutated': return pick(below, mutators)()
      case 'truncated': {
        const bytes = pick(below, originals)
        return bytes.subarray(0, 1 + below(bytes.length - 1))
      }
      case 'oversized': {
        const bytes = pick(below, originals).slice()
        // the length of the frame, of its payload, or of its output requests
        const field = pick(below, [0, 48, 60])
        new DataView(bytes.buffer).setUint32(field, pick(below, [1 << 24, (1 << 24) + 8, 0x7ffffff8, 0xfffffff8, 0xffffffff, 1 << 20, 72, 8, 0]), true)
        return bytes
      }
      case 'random': return randomBytes(1 + below(600), below(1 << 30))
      case 'wrongState': return wrong()
    }
  }
}

/** Frames in good order that have no business being sent now, or to this session. */
function wrongStates ({ peerId, modelId, units }: Target, self: string, sessions: string[], below: Below): () => Uint8Array {
  const number = (): number => pick(below, [0, 1, 2, 31, 255, 4096, 0x7fffffff, 0xffffffff])
  const rows = (): number => 1 + below(3)
  const name = (): string => Buffer.from(randomBytes(16, below(1000))).toString('hex')
  const open = (): Uint8Array => encodeOpen({
    modelId: below(8) === 0 ? 'ab'.repeat(32) : modelId,
    range: pick(below, [{ from: 0, to: units }, { from: 0, to: 1 }, { from: 1, to: units }, { from: units - 1, to: units }, { from: 0, to: units + 1 }, { from: units, to: units + 4 }]),
    stage: 1 + below(3),
    stages: 3,
    capacity: pick(below, [0, 1, 100, 131_072, 0xffffffff]),
    upstream: pick(below, [self, peerId, '12D3KooWnobody', '']),
    downstream: pick(below, [self, peerId, '12D3KooWnobody', '']),
    prefix: Array.from({ length: below(4) }, name)
  })
  const frames: Array<() => Partial<FrameInit> & Pick<FrameInit, 'kind'>> = [
    () => ({ kind: Kind.open, record: open() }),
    () => ({ kind: Kind.open, record: encodeOpen({ modelId, range: { from: 0, to: units }, stage: 1, stages: 1, capacity: 0, upstream: self, downstream: self, prefix: [] }) }),
    () => ({ kind: Kind.step, rows: 2, tokens: Uint32Array.of(number(), 5), position: number(), deadline: number() }),
    () => {
      const count = rows()
      return { kind: Kind.step, rows: count, tokens: new Uint32Array(count).fill(3), position: 0, outputs: [{ row: count - 1, output: pick<RowOutput>(below, [{ kind: 'logits' }, { kind: 'top', count: 4096 }, { kind: 'score', ids: [0xffffffff] }]) }] }
    },
    () => ({ kind: Kind.step, rows: 1, hidden: new Float32Array(below(300)).fill(pick(below, [0, NaN, Infinity, 1e38])), position: number(), until: below(4) }),
    () => ({ kind: Kind.replay, rows: rows(), position: number(), until: 1 + below(600) }),
    () => ({ kind: pick(below, [Kind.truncate, Kind.cancel, Kind.probe, Kind.close, Kind.attach, Kind.done]), position: number() }),
    () => ({ kind: Kind.confirm, record: randomBytes(16, below(1000)) }),
    () => ({ kind: Kind.connect, record: pick(below, [randomBytes(below(200), below(1000)), encodeSigned({ statement: randomBytes(64, below(1000)), signature: new Uint8Array(64) })]) }),
    () => ({ kind: Kind.name, record: encodeName({ first: below(4000), names: [name()] }) }),
    // for clients only
    () => ({ kind: pick(below, [Kind.opened, Kind.confirmed, Kind.probed, Kind.error, Kind.leaving]), record: randomBytes(below(80), below(1000)) }),
    () => ({ kind: Kind.answer, rows: 1, hidden: new Float32Array(8) })
  ]
  return () => {
    for (;;) {
      try {
        return encodeFrame({ session: pick(below, sessions), epoch: pick(below, [1, 1, 1, 2, 0, 0xffffffff]), sequence: below(3) === 0 ? number() : below(1 << 20), ...pick(below, frames)() })
      } catch {
        // what the encoder refuses is what the mutations are for
      }
    }
  }
}

/** Questions to the directory, with the length before them. */
export function directoryInputs ({ modelId }: Target, seed: number): () => Uint8Array {
  const below = integerGenerator(seed)
  const originals = [encodeRequest({ kind: 'records', modelId }), encodeRequest({ kind: 'dialBack', ports: [1, 80, 4001, 65_535] }), ...golden('directory')]
  const mutators = originals.flatMap((bytes, index) => [createMutator(withLength(bytes), bytes.length + 4, seed + index), ...bytes.length < 16 ? [] : [createMutator(bytes, bytes.length, seed + 100 + index)]])
  return () => {
    if (below(4) === 0) return withLength(pick(below, originals))
    const bytes = pick(below, mutators)()
    return below(2) === 0 ? bytes : withLength(bytes)
  }
}

export function blockInputs ({ modelId }: Target, seed: number): () => Uint8Array {
  const below = integerGenerator(seed)
  const originals = [1, 2, 3].map(kind => encodeBlockRequest({ kind: kind as 1 | 2 | 3, number: 7, index: kind === 3 ? 1 << 30 : 0, hash: modelId })).concat(golden('blocks'))
  const mutators = originals.map((bytes, index) => createMutator(bytes, bytes.length, seed + index))
  return () => below(8) === 0 ? randomBytes(1 + below(100), below(1 << 30)) : below(4) === 0 ? pick(below, originals) : pick(below, mutators)()
}
