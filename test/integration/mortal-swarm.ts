import { connectRoute, createPeerNode, generate } from '../../src/peer/index.ts'
import { openModel } from '../../src/model/index.ts'
import type { Model } from '../../src/model/index.ts'
import type { PeerNode, RouteProgress } from '../../src/peer/index.ts'
import { killAll, startPeer } from './cli-process.ts'

export interface MortalSwarmInit {
  /** a path */
  model: string
  /** of the stages */
  layers: readonly string[]
  prompt: string
  /** tokens of a text */
  tokens: number
  /** further ones of `efedllm peer` */
  options?: readonly string[]
}

export interface Text {
  ids: number[]
  events: RouteProgress[]
}

/** Real peer processes, two for each stage, some of which die while a client writes. */
export interface MortalSwarm {
  /** the text; `act` is called after so many tokens with the peers of the route, by stage */
  text (token?: number, act?: (route: string[]) => void): Promise<Text>
  signal (peerId: string, signal: NodeJS.Signals): void
  /** a peer is dead: another one takes its place */
  replace (peerId: string): Promise<void>
  stop (): Promise<void>
}

export async function startMortalSwarm ({ model: path, layers, prompt, tokens, options = [] }: MortalSwarmInit): Promise<MortalSwarm> {
  const processes = new Map<string, { layers: string, peer: Awaited<ReturnType<typeof startPeer>> }>()

  async function start (layers: string): Promise<void> {
    const peer = await startPeer('--model', path, '--layers', layers, '--threads', '1', '--no-mdns', '--no-dht', ...options)
    processes.set(peer.ready.peerId, { layers, peer })
  }

  const model: Model = await openModel(path)
  const client: PeerNode = createPeerNode({})
  await client.start()
  // half of them after the other: each reads its weights
  for (let copy = 0; copy < 2; copy++) await Promise.all(layers.map(start))

  return {
    async text (token = 0, act = () => {}) {
      const events: RouteProgress[] = []
      const addresses = [...processes.values()].map(({ peer }) => peer.address)
      const session = await connectRoute({ node: client, addresses, model, onProgress: event => events.push(event) })
      const ids: number[] = []
      try {
        for await (const event of generate({ session, tokenizer: model.tokenizer, promptIds: model.tokenizer.encode(prompt), options: { maximumTokens: tokens } })) {
          if (event.type !== 'token') continue
          ids.push(event.id)
          if (ids.length === token) act(session.route.map(({ peerId }) => peerId!))
        }
      } finally {
        await session.close()
      }
      return { ids, events }
    },
    signal: (peerId, signal) => { processes.get(peerId)!.peer.child.kill(signal) },
    async replace (peerId) {
      const { layers } = processes.get(peerId)!
      processes.delete(peerId)
      await start(layers)
    },
    async stop () {
      await client.stop()
      await killAll()
    }
  }
}
