/**
 * A peer in a process of its own, for benchmarks: hosts units of a model on
 * 127.0.0.1 and, on request, measures its engine without a network.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { createEngine, createPeerNode, openModel } from '../src/index.ts'
import type { BatchItem, Engine } from '../src/engine/index.ts'
import type { UnitRange } from '../src/model/index.ts'
import type { PeerNode } from '../src/peer/index.ts'

export interface PeerInit {
  /** a path */
  model: string
  threads: number
  /** all units by default */
  range?: UnitRange
  /** positions of the KV cache */
  positions: number
  /** a port of 127.0.0.1; default any */
  port?: number
  /** multiaddrs under which others are to reach it */
  announce?: string[]
}

/** Sessions that each get `tokens` tokens, one of each in every step, after `depth` positions; or a prompt. */
export type EngineRequest =
  | { type: 'decode', sessions: number, tokens: number, depth?: number }
  | { type: 'prefill', tokens: number, chunk: number }

type Message = { type: 'start', init: PeerInit } | { type: 'drain' } | EngineRequest
type Reply = { address: string, kernels: string } | { milliseconds: number } | { error: string }

/** Ids that are the same everywhere; the speed does not depend on what they mean. */
export function tokensAt (position: number, count: number, vocabularySize: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, row) => (position + row) * 37 % vocabularySize)
}

export interface PeerProcess {
  address: string
  kernels: string
  pid: number
  /** milliseconds of the engine alone; nobody may use the peer meanwhile */
  measure (request: EngineRequest): Promise<number>
  /** milliseconds until its sessions have moved */
  drain (): Promise<number>
  close (): void
}

export async function startPeer (init: PeerInit): Promise<PeerProcess> {
  const child = fork(fileURLToPath(import.meta.url), ['serve'], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`a peer ended with ${signal ?? code}`) })
  ended.catch(() => {})
  const ask = async (message: Message): Promise<Reply> => {
    const answer = once(child, 'message')
    child.send(message)
    const [reply] = await Promise.race([answer, ended]) as [Reply]
    if ('error' in reply) throw new Error(reply.error)
    return reply
  }
  const { address, kernels } = await ask({ type: 'start', init }) as Extract<Reply, { address: string }>
  return {
    address,
    kernels,
    pid: child.pid!,
    measure: async request => (await ask(request) as Extract<Reply, { milliseconds: number }>).milliseconds,
    drain: async () => (await ask({ type: 'drain' }) as Extract<Reply, { milliseconds: number }>).milliseconds,
    close: () => { child.kill('SIGKILL') }
  }
}

async function serve (): Promise<void> {
  let engine: Engine | undefined
  let node: PeerNode | undefined
  const handle = async (message: Message): Promise<Reply> => {
    if (message.type === 'start') {
      const started = await start(message.init)
      engine = started.engine
      node = started.node
      const { vector, tile } = engine.kernels!
      return { address: started.address, kernels: vector === tile ? vector : `${vector}, ${tile}` }
    }
    if (message.type === 'drain') {
      const begun = performance.now()
      await Promise.all(node!.hosted.map(async hosted => await hosted.drain()))
      return { milliseconds: performance.now() - begun }
    }
    return { milliseconds: message.type === 'decode' ? await decode(engine!, message) : await prefill(engine!, message) }
  }
  process.on('message', message => {
    handle(message as Message).catch(error => ({ error: String(error) })).then(reply => { process.send!(reply) })
  })
  process.on('disconnect', () => process.exit(0))
}

async function start ({ model: path, threads, range, positions, port = 0, announce }: PeerInit): Promise<{ engine: Engine, node: PeerNode, address: string }> {
  const model = await openModel(path)
  const { architecture } = model
  const engine = await createEngine({
    architecture, threads, keyValuePositions: positions, unit: index => model.unit(index), range: range ?? { from: 0, to: architecture.layerCount + 2 }
  })
  const node = createPeerNode({ engine, model, listen: [`/ip4/127.0.0.1/tcp/${port}`], announce })
  await node.start()
  return { engine, node, address: node.addresses[0] }
}

const best = (row: number): BatchItem['outputs'] => [{ row, output: { kind: 'top', count: 1 } }]

async function decode (engine: Engine, { sessions, tokens, depth = 0 }: Extract<EngineRequest, { type: 'decode' }>): Promise<number> {
  const { vocabularySize } = engine.architecture
  const open = Array.from({ length: sessions }, () => engine.openSession({ capacity: depth + tokens }))
  const at = (position: number, rows: number): BatchItem[] => open.map(session => ({ session, position, tokens: tokensAt(position, rows, vocabularySize), outputs: best(rows - 1) }))
  if (depth > 0) await engine.run(at(0, depth))
  const started = performance.now()
  for (let token = 0; token < tokens; token++) await engine.run(at(depth + token, 1))
  const milliseconds = performance.now() - started
  for (const session of open) engine.closeSession(session)
  return milliseconds
}

async function prefill (engine: Engine, { tokens, chunk }: Extract<EngineRequest, { type: 'prefill' }>): Promise<number> {
  const session = engine.openSession({ capacity: tokens })
  const started = performance.now()
  for (let from = 0; from < tokens; from += chunk) {
    const rows = Math.min(chunk, tokens - from)
    await engine.run([{ session, position: from, tokens: tokensAt(from, rows, engine.architecture.vocabularySize), outputs: from + rows === tokens ? best(rows - 1) : [] }])
  }
  const milliseconds = performance.now() - started
  engine.closeSession(session)
  return milliseconds
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.argv[2] === 'serve') await serve()
