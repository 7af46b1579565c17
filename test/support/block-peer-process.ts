import { createBlockStore } from '../../src/model/index.ts'
import { createPeerNode } from '../../src/peer/index.ts'
import { meddlingStore } from './packages.ts'

/**
 * A peer that gives the blocks of a package, as a process of its own: tells its
 * address and how many blocks were asked for, and ends with its parent.
 *
 * `lie:N:M` turns a bit in every N-th block, beginning with the M-th; `stall:N`
 * falls silent at the N-th; `honest` does neither.
 */
export type BlockPeerMessage = { address: string } | { served: number } | { stalled: true }

const [path, conduct] = process.argv.slice(2)
const [kind, every, first] = conduct.split(':')
const tell = (message: BlockPeerMessage): void => { process.send!(message) }

const share = meddlingStore(createBlockStore([path]), async (bytes, served) => {
  tell({ served })
  if (kind === 'lie' && served % Number(every) === Number(first)) {
    const wrong = bytes.slice()
    wrong[served % wrong.length] ^= 0x10
    return wrong
  }
  if (kind === 'stall' && served >= Number(every)) {
    tell({ stalled: true })
    await new Promise(() => {})
  }
  return bytes
})
const node = createPeerNode({ share, listen: ['/ip4/127.0.0.1/tcp/0'] })
await node.start()
tell({ address: node.addresses[0] })
process.on('disconnect', () => process.exit(0))
