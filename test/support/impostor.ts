import { DEFAULT_LIMITS, INFO_PROTOCOL, STAGE_PROTOCOL } from '../../src/peer/constants.ts'
import { createPeerNode } from '../../src/peer/index.ts'
import type { PeerNode } from '../../src/peer/index.ts'
import { infoBytes, serveInfo } from '../../src/peer/info-protocol.ts'
import { createLink } from '../../src/peer/link.ts'
import type { Link } from '../../src/peer/link.ts'
import { startedNode } from '../../src/peer/node.ts'
import { encodeOpened, Kind } from '../../src/peer/wire/index.ts'
import type { Frame, FrameInit, OpenedRecord } from '../../src/peer/wire/index.ts'
import { stubModel } from './peers.ts'

/** A node that claims to host units and answers stage frames as the test says. Whoever asks for one stops it. */
export async function impostor (from: number, to: number, onFrame: (frame: Frame, link: Link) => void): Promise<PeerNode> {
  const node = createPeerNode({ listen: ['/ip4/127.0.0.1/tcp/0'] })
  await node.start()
  const { libp2p, log } = startedNode(node)
  await libp2p.unhandle(INFO_PROTOCOL)
  const bytes = infoBytes([], { model: stubModel(), limits: DEFAULT_LIMITS, ranges: [{ range: { from, to }, state: 'serving' }], sessions: 0, queuedSteps: 0, freePositions: 1000 })
  await libp2p.handle(INFO_PROTOCOL, async stream => await serveInfo(stream, bytes))
  await libp2p.handle(STAGE_PROTOCOL, (stream, connection) => {
    createLink({ stream, peer: connection.remotePeer.toString(), remoteAddress: '', cap: 1 << 20, log, handlers: { onFrame, onClose: () => {} } })
  })
  return node
}

/** What an impostor that plays along says to `open`. */
export function openedReply ({ session, epoch, sequence }: Frame, record: Partial<OpenedRecord> = {}): FrameInit {
  return { kind: Kind.opened, session, epoch, sequence, record: encodeOpened({ nonce: new Uint8Array(16), window: 8, rowsPerStep: 64, capacity: 1024, held: 0, kept: 0, ...record }) }
}
