import { readdirSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { createEngine } from '../../../src/engine/index.ts'
import { createBlockStore, openModel } from '../../../src/model/index.ts'
import { createPeerNode } from '../../../src/peer/index.ts'
import type { PeerLimits, PeerNode, Verdict } from '../../../src/peer/index.ts'
import { startedNode } from '../../../src/peer/node.ts'
import { serveCalls } from './calls.ts'

/** The peer that is besieged: hosts a whole model as `efedllm peer` does, in a process of its own. */

export interface PeerStart {
  model: string
  /** a package whose files it gives to others */
  share: string
  limits?: Partial<PeerLimits>
}

/** What an attack may use up. Memory is counted after a garbage collection. */
export interface Resources {
  rss: number
  heapUsed: number
  /** array buffers and other memory outside the heap */
  external: number
  /** open files and sockets of the process */
  files: number
  connections: number
  /** streams of all connections */
  streams: number
  sessions: number
  /** positions of KV cache that nobody has */
  freePositions: number
}

let node: PeerNode | undefined
let freePositions = (): number => 0

const calls = {
  async start ({ model: path, share, limits }: PeerStart): Promise<{ address: string, peerId: string, modelId: string }> {
    const model = await openModel(path)
    const engine = await createEngine({ architecture: model.architecture, range: { from: 0, to: model.architecture.layerCount + 2 }, threads: 1, unit: index => model.unit(index), keyValuePositions: 16_384 })
    freePositions = () => engine.freePositions
    node = createPeerNode({ engine, model, share: createBlockStore([share]), listen: ['/ip4/127.0.0.1/tcp/0'], discovery: {}, limits })
    await node.start()
    return { address: node.addresses[0], peerId: node.peerId, modelId: model.modelId }
  },
  /** announcements by what became of them */
  counts: (): Record<Verdict, number> => ({ ...node!.directory!.counts }),
  async resources (): Promise<Resources> {
    // streams that have just ended are let go of in a turn or two
    await pause(50)
    globalThis.gc?.()
    const { rss, heapUsed, external } = process.memoryUsage()
    const connections = startedNode(node!).libp2p.getConnections()
    return {
      rss,
      heapUsed,
      external,
      files: readdirSync('/proc/self/fd').length,
      connections: connections.length,
      streams: connections.reduce((sum, { streams }) => sum + streams.length, 0),
      sessions: node!.sessions,
      freePositions: freePositions()
    }
  }
}
export type PeerCalls = typeof calls

// a peer that an attack ends must be seen to end
process.on('uncaughtException', error => {
  console.error(error)
  process.exit(70)
})
serveCalls(calls)
