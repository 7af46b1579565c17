import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { BLOCKS_PROTOCOL } from '../../../src/peer/blocks/constants.ts'
import { INFO_PROTOCOL, STAGE_PROTOCOL } from '../../../src/peer/constants.ts'
import { createPeerNode } from '../../../src/peer/index.ts'
import type { PeerNode } from '../../../src/peer/index.ts'
import { startedNode } from '../../../src/peer/node.ts'
import { encodeFrame, Kind } from '../../../src/peer/wire/index.ts'
import { rawLink } from '../peers.ts'
import type { RawLink } from '../peers.ts'
import { randomBytes } from '../random-bytes.ts'
import type { Target } from './hostile-inputs.ts'

/** What an attack has taken hold of, until it lets go. */
export interface Held {
  release (): Promise<void>
}

/**
 * Half of what a host may connect in a second (INBOUND_CONNECTIONS_PER_SECOND): beyond that all of the host are refused, and here
 * the honest are on the attacker's. What a flood holds is what it is to show.
 */
const CONNECTIONS_PER_SECOND = 50

/** Resolves for one call after another, so many in a second. */
function pacer (perSecond: number): () => Promise<void> {
  let next = performance.now()
  return async () => {
    const now = performance.now()
    const turn = Math.max(now, next)
    next = turn + 1000 / perSecond
    await pause(turn - now)
  }
}

const portOf = ({ address }: Target): number => Number(/\/tcp\/(\d+)/.exec(address)![1])

/** TCP connections on which nothing is said, or the beginning of something; gives how many were ever taken. */
export async function halfOpen (target: Target, count: number): Promise<Held & { opened: number }> {
  const sockets: Socket[] = []
  let opened = 0
  const turn = pacer(CONNECTIONS_PER_SECOND)
  for (let index = 0; index < count; index++) {
    await turn()
    const socket = connectSocket(portOf(target), '127.0.0.1')
    socket.on('error', () => {})
    sockets.push(socket)
    await once(socket, 'connect').then(() => { opened++ }, () => {})
    if (index % 3 === 1) socket.write('\x13/multistream/1.0.0\n')
    else if (index % 3 === 2) socket.write(randomBytes(200, index))
  }
  return {
    opened,
    async release () {
      for (const socket of sockets) socket.destroy()
    }
  }
}

/** Connections of many identities, four of each, that ask for nothing; gives how many were ever taken. */
export async function connections (target: Target, identities: number): Promise<Held & { opened: number }> {
  const nodes: PeerNode[] = []
  let opened = 0
  let left = identities
  const turn = pacer(CONNECTIONS_PER_SECOND)
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (left-- > 0) {
      const node = createPeerNode({})
      nodes.push(node)
      await node.start()
      const { libp2p } = startedNode(node)
      for (let count = 0; count < 4; count++) {
        await turn()
        await libp2p.dial(multiaddr(target.address), { force: true }).then(() => { opened++ }, () => {})
      }
    }
  }))
  return { opened, release: async () => await stopAll(nodes) }
}

async function stopAll (nodes: readonly PeerNode[]): Promise<void> {
  await Promise.all(nodes.map(async node => await node.stop()))
}

/** As many sessions as a client may have. */
async function sessionsOf (node: PeerNode, target: Target, count: number): Promise<{ link: RawLink, sessions: string[] }> {
  const link = await rawLink(node, target.address, undefined, target.modelId)
  const sessions: string[] = []
  for (let index = 0; index < count; index++) {
    const session = randomUUID().replaceAll('-', '')
    link.open({ range: { from: 0, to: target.units } }, { session })
    sessions.push(session)
  }
  await link.settled()
  const granted = new Set(link.frames.filter(({ kind }) => kind === Kind.opened).map(({ session }) => session))
  return { link, sessions: sessions.filter(session => granted.has(session)) }
}

/**
 * A client that asks for all logits of long prompts and reads none of them: in
 * every session, as much as it is granted.
 */
export async function slowReader (target: Target, sessions: number): Promise<Held & { sessions: number, steps: number }> {
  const node = createPeerNode({})
  await node.start()
  const { link, sessions: open } = await sessionsOf(node, target, sessions)
  link.pause()
  const ROWS = 64
  let steps = 0
  for (const session of open) {
    for (let step = 0; step < 8; step++, steps++) {
      link.send({
        kind: Kind.step, session, sequence: 1 + step, position: step * ROWS, rows: ROWS, tokens: new Uint32Array(ROWS).fill(5), outputs: Array.from({ length: ROWS }, (_value, row) => ({ row, output: { kind: 'logits' as const } }))
      })
    }
  }
  return { sessions: open.length, steps, release: async () => await node.stop() }
}

/** Clients that open all the sessions and streams that they are granted, and the beginning of a large frame on some, and keep them. */
export async function neverClosing (target: Target, identities: number, sessions: number): Promise<Held & { sessions: number, streams: number }> {
  const nodes: PeerNode[] = []
  let taken = 0
  let streams = 0
  for (let index = 0; index < identities; index++) {
    const node = createPeerNode({})
    nodes.push(node)
    await node.start()
    taken += (await sessionsOf(node, target, sessions)).sessions.length
    const connection = await startedNode(node).libp2p.dial(multiaddr(target.address))
    const open: Stream[] = []
    for (const id of [...Array(7).fill(STAGE_PROTOCOL), ...Array(2).fill(BLOCKS_PROTOCOL), ...Array(4).fill(INFO_PROTOCOL)] as string[]) {
      try {
        open.push(await connection.newStream(id))
      } catch {
        // that many are not granted
      }
    }
    streams += open.length
    for (const stream of open) {
      if (stream.protocol !== STAGE_PROTOCOL || stream.status !== 'open') continue
      const whole = encodeFrame({ kind: Kind.step, session: '00'.repeat(16), epoch: 1, sequence: 1, rows: 256, tokens: new Uint32Array(250_000) })
      stream.send(whole.subarray(0, whole.length - 8).slice())
    }
  }
  return { sessions: taken, streams, release: async () => await stopAll(nodes) }
}
