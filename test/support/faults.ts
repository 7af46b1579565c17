import { randomBytes } from 'node:crypto'
import { STAGE_PROTOCOL } from '../../src/peer/constants.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import type { Link } from '../../src/peer/link.ts'
import { startedNode } from '../../src/peer/node.ts'
import type { BatchItem, BatchResult } from '../../src/engine/index.ts'
import type { createSwarm, StubPeer, StubPeerOptions } from './peers.ts'

/** What can be done to a peer of this process while it runs a step. */
export const faults = {
  /** its connections break, and nobody is there any more */
  kill: (peer: FaultyPeer) => {
    peer.cut()
    peer.node.stop()
  },
  /** it stops as it should */
  stop: (peer: FaultyPeer) => { peer.node.stop() },
  /** its connections break, and it is back at once */
  cut: (peer: FaultyPeer) => peer.cut(),
  /** it answers whoever asks, but its engine gives nothing any more */
  stall: (peer: FaultyPeer) => { peer.stalled = true },
  /** bytes that are no frame go to everybody it speaks with */
  babble: (peer: FaultyPeer) => babble(peer.node),
  /** what it computes is not what it should be, visibly */
  spoil: (peer: FaultyPeer) => { peer.spoils = true },
  /** its engine fails */
  fail: (peer: FaultyPeer) => { peer.fails = true }
} satisfies Record<string, (peer: FaultyPeer) => void>

export type FaultName = keyof typeof faults

/** A stub peer to which something can be done at a certain position. */
export interface FaultyPeer extends StubPeer {
  stalled: boolean
  spoils: boolean
  fails: boolean
  /** called before each batch that runs */
  onRun?: (batch: BatchItem[]) => void
}

/** Bytes that break the protocol, on all stage streams of a node. */
export function babble (node: PeerNode): void {
  for (const connection of startedNode(node).libp2p.getConnections()) {
    for (const stream of connection.streams) if (stream.protocol === STAGE_PROTOCOL) stream.send(randomBytes(64))
  }
}

export async function faultyPeer (swarm: ReturnType<typeof createSwarm>, from: number, to: number, options: StubPeerOptions = {}): Promise<FaultyPeer> {
  const state: { peer?: FaultyPeer } = {}
  const made = await swarm.peer(from, to, {
    ...options,
    gate: async batch => {
      state.peer?.onRun?.(batch)
      if (state.peer?.fails === true) throw new Error('layer 1 gave a number that is not finite')
      if (state.peer?.stalled === true) await new Promise(() => {})
      await options.gate?.(batch)
    },
    onResults: results => { if (state.peer?.spoils === true) spoil(results) }
  })
  state.peer = Object.assign(made, { stalled: false, spoils: false, fails: false })
  return state.peer
}

function spoil (results: BatchResult[]): void {
  for (const { hidden, rows } of results) {
    hidden?.fill(NaN)
    for (const { ids } of rows ?? []) ids?.fill(1 << 30)
  }
}

/** Once, when a step comes to this position. */
export function atPosition (peer: FaultyPeer, position: number, action: (peer: FaultyPeer) => void): void {
  peer.onRun = batch => {
    if (!batch.some(item => item.position === position)) return
    peer.onRun = undefined
    action(peer)
  }
}

/** Bytes of hidden state that go over the stage streams of a client, in both directions. Before it opens any. */
export function countHidden (node: PeerNode): () => number {
  const { links } = startedNode(node)
  const { subscribe } = links
  const counted = new WeakSet<Link>()
  let bytes = 0
  links.subscribe = async (peer, session, subscriber, connect, signal) => {
    const { onFrame } = subscriber
    const subscription = await subscribe(peer, session, {
      ...subscriber,
      onFrame: frame => {
        bytes += frame.hidden?.byteLength ?? 0
        onFrame(frame)
      }
    }, connect, signal)
    const { link } = subscription
    if (!counted.has(link)) {
      counted.add(link)
      const { send } = link
      link.send = frame => {
        bytes += frame.hidden?.byteLength ?? 0
        send(frame)
      }
    }
    return subscription
  }
  return () => bytes
}
