import type { GossipSub } from '@libp2p/gossipsub'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { BLOCK_FRAME, decodeBlockAnswer, encodeBlockRequest } from '../../../src/peer/blocks/codec.ts'
import { BLOCKS_PROTOCOL } from '../../../src/peer/blocks/constants.ts'
import { INFO_PROTOCOL, STAGE_PROTOCOL } from '../../../src/peer/constants.ts'
import { DIRECTORY_PROTOCOL, MAXIMUM_RECORD_BYTES, TOPIC_PREFIX } from '../../../src/peer/directory/constants.ts'
import { encodeAnswer } from '../../../src/peer/directory/codec.ts'
import { createPeerNode } from '../../../src/peer/index.ts'
import type { PeerNode } from '../../../src/peer/index.ts'
import { startedNode } from '../../../src/peer/node.ts'
import { withLength } from '../../../src/peer/read-record.ts'
import { encodeFrame, Kind } from '../../../src/peer/wire/index.ts'
import { until } from '../directories.ts'
import { randomBytes } from '../random-bytes.ts'
import { hostileAnnouncements } from './announcements.ts'
import { blockInputs, directoryInputs, STAGE_INPUTS, stageInputs } from './hostile-inputs.ts'
import type { Target } from './hostile-inputs.ts'
import { openLine } from './line.ts'
import type { Line, LineInit } from './line.ts'

/** Inputs of each protocol. Announcements go over gossipsub; answers are those of the attacker to the questions of the peer. */
export interface FuzzCounts { stage: number, directory: number, blocks: number, info: number, announcements: number, answers: number }

/**
 * What became of them. An input has arrived when the peer has answered what
 * came after it, or has ended its stream; what arrived of `announcements` and
 * `answers` only the peer itself can tell.
 */
export interface FuzzReport {
  sent: FuzzCounts
  answered: Partial<FuzzCounts>
  closed: Partial<FuzzCounts>
  silent: Partial<FuzzCounts>
}

/** Streams of one identity at once, below what a peer takes. */
const STREAMS = 6
const IDENTITIES = 4

const NOBODY = 'fe'.repeat(16)
const STAGE_LINE: LineInit = {
  // above the largest frame that a stage of the small model takes
  cap: 2 << 20,
  marker: number => encodeFrame({ kind: Kind.probe, session: NOBODY, epoch: 0xfffffff0, sequence: number }),
  answers: (frame, number) => frame[5] === Kind.error && Buffer.from(frame.subarray(8, 24)).toString('hex') === NOBODY && new DataView(frame.buffer, frame.byteOffset).getUint32(28, true) === number
}
const MARKED = 0xf0000000
const BLOCK_LINE: LineInit = {
  cap: 48,
  start: BLOCK_FRAME,
  marker: number => encodeBlockRequest({ kind: 1, number: MARKED + number, hash: 'fe'.repeat(32), index: 0 }),
  answers: (answer, number) => decodeBlockAnswer(answer).number === MARKED + number
}

/** Sends so many inputs from several identities; nodes are stopped at the end. */
export async function fuzz (target: Target, counts: FuzzCounts, seed: number): Promise<FuzzReport> {
  const report: FuzzReport = { sent: { stage: 0, directory: 0, blocks: 0, info: 0, announcements: 0, answers: 0 }, answered: {}, closed: {}, silent: {} }
  const nodes: PeerNode[] = []
  const node = async (init = {}): Promise<PeerNode> => {
    const made = createPeerNode(init)
    nodes.push(made)
    await made.start()
    return made
  }
  const note = (protocol: keyof FuzzCounts, how: 'answered' | 'closed' | 'silent'): void => {
    report.sent[protocol]++
    report[how][protocol] = (report[how][protocol] ?? 0) + 1
  }

  /** Sends inputs over streams of an identity, until they are used up. */
  async function throughLines (attacker: PeerNode, protocol: 'stage' | 'blocks', id: string, init: LineInit, next: (() => Uint8Array | undefined)): Promise<void> {
    let line: Line | undefined
    for (let input = next(); input !== undefined; input = next()) {
      if (line === undefined || line.closed) line = await openLine(await connect(attacker, target), id, init)
      note(protocol, await line.deliver(input))
    }
    line?.abort()
  }

  async function attackStage (index: number): Promise<void> {
    const attacker = await node()
    const inputs = stageInputs(target, attacker.peerId, seed + 1000 * index)
    let left = Math.ceil((counts.stage - index) / IDENTITIES)
    const next = (): Uint8Array | undefined => left-- > 0 ? inputs(STAGE_INPUTS[left % STAGE_INPUTS.length]) : undefined
    await Promise.all(Array.from({ length: STREAMS }, async () => await throughLines(attacker, 'stage', STAGE_PROTOCOL, STAGE_LINE, next)))
  }

  async function attackBlocks (): Promise<void> {
    const attacker = await node()
    const inputs = blockInputs(target, seed)
    let left = counts.blocks
    await throughLines(attacker, 'blocks', BLOCKS_PROTOCOL, BLOCK_LINE, () => left-- > 0 ? inputs() : undefined)
  }

  /** Protocols with one question a stream: the end of the stream is the reaction, with an answer or without. */
  async function ask (protocol: 'directory' | 'info', id: string, input: () => Uint8Array): Promise<void> {
    const attacker = await node()
    for (let left = counts[protocol]; left > 0; left--) {
      const stream = await (await connect(attacker, target)).newStream(id)
      note(protocol, await reactionOf(stream, input()))
    }
  }

  async function attackAnnouncements (): Promise<void> {
    const attacker = await node({ discovery: { gossip: true, models: [target.modelId], join: [target.address] } })
    const { gossip } = (startedNode(attacker).libp2p as unknown as { services: { gossip: GossipSub } }).services
    await until(() => gossip.getSubscribers(TOPIC_PREFIX + target.modelId).some(id => id.toString() === target.peerId))
    const next = await hostileAnnouncements(target, seed)
    for (; report.sent.announcements < counts.announcements; report.sent.announcements++) {
      await gossip.publish(TOPIC_PREFIX + target.modelId, await next())
      // so that streams get their turn
      if (report.sent.announcements % 16 === 0) await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** The peer asks whoever connects for records: here it gets a hundred hostile ones from each, or no answer at all. */
  async function attackAnswers (): Promise<void> {
    const next = await hostileAnnouncements(target, seed + 1)
    for (let turn = 0; report.sent.answers < counts.answers; turn++) {
      const attacker = await node()
      const asked = Promise.withResolvers<void>()
      const made = await Promise.all(Array.from({ length: Math.min(100, counts.answers - report.sent.answers) }, async (_value, index) => ({ age: index % 7 === 0 ? 0xffffffff : index, bytes: await next() })))
      const records = made.filter(({ bytes }) => bytes.length <= MAXIMUM_RECORD_BYTES)
      await startedNode(attacker).libp2p.handle(DIRECTORY_PROTOCOL, stream => {
        if (turn % 4 === 3) stream.send(withLength(randomBytes(500, seed + turn)))
        else stream.send(withLength(encodeAnswer({ kind: 'records', clock: Date.now(), records })))
        stream.close().catch(() => {})
        asked.resolve()
      })
      await connect(attacker, target)
      await asked.promise
      report.sent.answers += turn % 4 === 3 ? 1 : records.length
    }
  }

  try {
    await Promise.all([
      ...Array.from({ length: IDENTITIES }, async (_value, index) => await attackStage(index)),
      attackBlocks(),
      ask('directory', DIRECTORY_PROTOCOL, directoryInputs(target, seed)),
      ask('info', INFO_PROTOCOL, () => randomBytes(1 + report.sent.info % 300, seed + report.sent.info)),
      attackAnnouncements(),
      attackAnswers()
    ])
  } finally {
    await Promise.all(nodes.map(async attacker => await attacker.stop()))
  }
  return report
}

export async function connect (node: PeerNode, { address }: Pick<Target, 'address'>): Promise<Connection> {
  return await startedNode(node).libp2p.dial(multiaddr(address))
}

async function reactionOf (stream: Stream, input: Uint8Array): Promise<'answered' | 'closed' | 'silent'> {
  const reaction = Promise.withResolvers<'answered' | 'closed' | 'silent'>()
  const timer = setTimeout(() => reaction.resolve('silent'), 10_000)
  stream.addEventListener('message', () => reaction.resolve('answered'))
  stream.addEventListener('close', () => reaction.resolve('closed'))
  stream.addEventListener('remoteCloseWrite', () => reaction.resolve('closed'))
  stream.send(input.slice())
  // who sends no more has said what it had to say
  stream.close().catch(() => {})
  const how = await reaction.promise
  clearTimeout(timer)
  stream.abort(new Error('the test has seen what it wanted'))
  return how
}
