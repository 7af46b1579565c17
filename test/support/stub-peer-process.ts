import { createPeerNode } from '../../src/peer/index.ts'
import { stubModel } from './peers.ts'
import { createStubEngine } from './stub-engine.ts'

/** A peer with a stub engine as a process of its own; tells its address, and ends with its parent. */
const [from, to] = process.argv.slice(2).map(Number)
const node = createPeerNode({ engine: createStubEngine({ from, to }), model: stubModel(), listen: ['/ip4/127.0.0.1/tcp/0'] })
await node.start()
process.send!(node.addresses[0])
process.on('disconnect', () => process.exit(0))
