/**
 * How long the event loop of a peer stalls while it prefills for a client in
 * another process: libp2p drops peers whose loop is blocked.
 *
 *   node scripts/bench-event-loop.ts MODEL [TOKENS=512] [RUNS=5]
 *
 * Prints one JSON value: the longest stall in milliseconds of each run.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { connectRoute, createEngine, createPeerNode, openModel } from '../src/index.ts'

/** Sampling interval of the monitor in milliseconds; it is taken off what it reports. */
const RESOLUTION = 1

const [role, modelPath, tokens = '512', runs = '5', address] = process.argv[2] === 'client'
  ? process.argv.slice(2)
  : ['peer', ...process.argv.slice(2)]

if (modelPath === undefined) {
  console.error('usage: node scripts/bench-event-loop.ts MODEL [TOKENS] [RUNS]')
  process.exit(2)
}
const model = await openModel(modelPath)
if (role === 'client') await runClient()
else await runPeer()

async function runPeer (): Promise<void> {
  const { architecture } = model
  const engine = await createEngine({ architecture, range: { from: 0, to: architecture.layerCount + 2 }, unit: index => model.unit(index) })
  const node = createPeerNode({ engine, model, listen: ['/ip4/127.0.0.1/tcp/0'] })
  await node.start()
  const client = fork(fileURLToPath(import.meta.url), ['client', modelPath, tokens, runs, node.addresses[0]])
  const monitor = monitorEventLoopDelay({ resolution: RESOLUTION })
  const stalls: number[] = []
  client.on('message', message => {
    if (message === 'begin') {
      monitor.reset()
      monitor.enable()
    } else {
      monitor.disable()
      stalls.push(Math.max(0, monitor.max / 1e6 - RESOLUTION))
    }
    client.send('go')
  })
  await once(client, 'exit')
  console.log(JSON.stringify({ tokens: Number(tokens), longestStallMilliseconds: stalls.map(stall => Number(stall.toFixed(2))) }))
  await node.stop()
  await engine.stop()
}

async function runClient (): Promise<void> {
  const node = createPeerNode({})
  await node.start()
  const session = await connectRoute({ node, addresses: [address], model })
  const ids = Uint32Array.from({ length: Number(tokens) }, (_, i) => (i * 37 + 11) % model.architecture.vocabularySize)
  const tell = async (message: string) => {
    const answer = once(process, 'message')
    process.send!(message)
    await answer
  }
  for (let run = 0; run < Number(runs); run++) {
    await tell('begin')
    await session.step({ tokens: ids, position: 0, outputs: [{ row: ids.length - 1, output: { kind: 'top', count: 1 } }] })
    await tell('end')
  }
  await session.close()
  await node.stop()
  process.exit(0)
}
