import { setTimeout as pause } from 'node:timers/promises'
import type { PeerNode, PeerRecord } from '../../src/peer/index.ts'
import { startedNode } from '../../src/peer/node.ts'
import { stubModel } from './peers.ts'
import type { StubPeer } from './peers.ts'

export const { modelId } = stubModel()

export const recordsOf = (node: PeerNode): PeerRecord[] => node.directory?.records(modelId) ?? []
export const known = (node: PeerNode): string[] => recordsOf(node).map(({ peerId }) => peerId).sort()

/** Waits for something that no event tells of. */
export async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await pause(10)
}

/** Waits until what a node knows is as it should be. */
export async function untilKnown (node: PeerNode, condition: (records: PeerRecord[]) => boolean): Promise<void> {
  while (!condition(recordsOf(node))) {
    await new Promise<void>(resolve => {
      const off = node.directory!.onChange(() => {
        off()
        resolve()
      })
    })
  }
}

/** Waits until each of the nodes knows all others, and nobody else. */
export async function untilComplete (peers: readonly StubPeer[]): Promise<void> {
  for (const { node } of peers) {
    const others = peers.map(({ node }) => node.peerId).filter(peerId => peerId !== node.peerId).sort().join()
    await untilKnown(node, records => records.map(({ peerId }) => peerId).sort().join() === others)
  }
}

/** Ends a node as a crash does: no goodbye, and no answer any more. */
export async function kill ({ node }: StubPeer): Promise<void> {
  const { libp2p } = startedNode(node)
  // the directory's farewell goes nowhere
  for (const connection of libp2p.getConnections()) connection.abort(new Error('killed by the test'))
  await libp2p.stop()
}
