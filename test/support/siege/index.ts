import { fileURLToPath } from 'node:url'
import { openModel } from '../../../src/model/index.ts'
import type { Model } from '../../../src/model/index.ts'
import { connectRoute, createPeerNode, generate } from '../../../src/peer/index.ts'
import type { PeerLimits, PeerNode, RouteSession } from '../../../src/peer/index.ts'
import { startRemote } from './calls.ts'
import type { Remote } from './calls.ts'
import type { AttackerCalls } from './attacker-process.ts'
import type { Target } from './hostile-inputs.ts'
import type { PeerCalls, Resources } from './peer-process.ts'

export type { FuzzCounts, FuzzReport } from './fuzz.ts'
export type { Resources } from './peer-process.ts'

const path = (name: string): string => fileURLToPath(new URL(`../../../models/${name}`, import.meta.url))
const PROMPT = 'Fellow-Citizens of the Senate and House of Representatives:'
const TOKENS = 32

/** An honest client that writes the same text again and again. */
export interface Writer {
  /** texts so far */
  readonly texts: number[][]
  /** milliseconds of each token but the first of a text */
  readonly milliseconds: number[]
  /** ends after the text that is being written */
  stop (): Promise<void>
}

/** A peer, attackers, and an honest client, each in a process of its own. */
export interface Siege {
  peer: Remote<PeerCalls>
  attacker: Remote<AttackerCalls>
  target: Target
  /** what the text should be */
  undisturbed: number[]
  /** milliseconds of its tokens, with nobody else there */
  calm: number[]
  /** goes on along one session, until it is stopped */
  write (): Promise<Writer>
  /** a client that nobody has seen before writes the text once; tries again where it is refused, and says how often it was */
  newcomer (): Promise<{ ids: number[], milliseconds: number, refusals: string[] }>
  /** what the peer uses, once it is no more than what is given, or after the patience of the caller */
  settled (condition: (resources: Resources) => boolean, milliseconds: number): Promise<Resources>
  stop (): Promise<void>
}

export async function startSiege ({ limits }: { limits?: Partial<PeerLimits> } = {}): Promise<Siege> {
  const peer = startRemote<PeerCalls>(new URL('./peer-process.ts', import.meta.url), ['--expose-gc'])
  const attacker = startRemote<AttackerCalls>(new URL('./attacker-process.ts', import.meta.url))
  const nodes: PeerNode[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(async node => await node.stop()))
    await Promise.all([peer.kill(), attacker.kill()])
  }
  try {
    const model = await openModel(path('sotu-4m'))
    const { address, peerId, modelId } = await peer.call('start', { model: path('sotu-4m'), share: path('sotu-4m-compressed'), limits })
    const open = async (node: PeerNode): Promise<RouteSession> => await connectRoute({ node, addresses: [address], model })
    const client = async (): Promise<PeerNode> => {
      const node = createPeerNode({})
      nodes.push(node)
      await node.start()
      return node
    }
    const session = await open(await client())
    const calm: number[] = []
    // the first text warms up
    for (let turn = 0; turn < 3; turn++) calm.splice(0, Infinity, ...(await writeOnce(session, model)).milliseconds)
    const undisturbed = (await writeOnce(session, model)).ids

    return {
      peer,
      attacker,
      target: { address, peerId, modelId, units: model.architecture.layerCount + 2, session: session.id },
      undisturbed,
      calm,
      async write () {
        const texts: number[][] = []
        const milliseconds: number[] = []
        const stopped = new AbortController()
        const run = async (): Promise<void> => {
          while (!stopped.signal.aborted) {
            const text = await writeOnce(session, model)
            texts.push(text.ids)
            milliseconds.push(...text.milliseconds)
          }
        }
        const running = run()
        running.catch(() => {})
        return {
          texts,
          milliseconds,
          async stop () {
            stopped.abort()
            await running
          }
        }
      },
      async newcomer () {
        const begun = performance.now()
        const refusals: string[] = []
        for (;;) {
          const node = createPeerNode({})
          await node.start()
          try {
            const session = await open(node)
            const { ids } = await writeOnce(session, model)
            await session.close()
            return { ids, milliseconds: performance.now() - begun, refusals }
          } catch (error) {
            refusals.push((error as Error).message)
            // a person would give up
            if (refusals.length > 200) throw error
          } finally {
            await node.stop()
          }
        }
      },
      async settled (condition, milliseconds) {
        const end = performance.now() + milliseconds
        for (;;) {
          const resources = await peer.call('resources')
          if (condition(resources) || performance.now() > end) return resources
        }
      },
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Sets the session back to nothing, and writes the text. */
async function writeOnce (session: RouteSession, model: Model): Promise<{ ids: number[], milliseconds: number[] }> {
  const ids: number[] = []
  const milliseconds: number[] = []
  let last = 0
  await session.truncate(0)
  for await (const event of generate({ session, tokenizer: model.tokenizer, promptIds: model.tokenizer.encode(PROMPT), options: { maximumTokens: TOKENS } })) {
    if (event.type !== 'token') continue
    const now = performance.now()
    if (ids.length > 0) milliseconds.push(now - last)
    ids.push(event.id)
    last = now
  }
  return { ids, milliseconds }
}
