import { randomBytes } from 'node:crypto'
import type { Architecture } from '../../model/index.ts'
import { connectTo, disconnectFrom } from '../client/candidate-pool.ts'
import { createRemoteChain } from '../client/remote-chain.ts'
import { createRemoteStage } from '../client/remote-stage.ts'
import { createStepClock } from '../client/step-clock.ts'
import { CONTROL_MILLISECONDS, DEFAULT_DEADLINES } from '../constants.ts'
import type { PeerRecord } from '../directory/index.ts'
import { startedNode } from '../node.ts'
import type { ModelIdentity, PeerNode } from '../types.ts'
import { Kind } from '../wire/index.ts'
import { LEAST_SECONDS, TIMED_OPEN_MILLISECONDS, TIMED_PINGS, TIMED_STEP_MILLISECONDS, TIMED_STEPS } from './constants.ts'
import { timedRow } from './time-engine.ts'

export interface TimePeerInit {
  /** a started node */
  node: PeerNode
  model: ModelIdentity
  /** what `routeWork` says */
  unitWork: readonly number[]
}

/**
 * Times a real step through a peer, over what it says that it serves: a session
 * whose only stage it is. What the way there takes is taken off, but never so
 * much that the peer would be faster than it says itself. Gives work a second: 0
 * where the peer is not there, or does not answer as a stage does; undefined
 * where it has no room now, or nobody is connected with this node. Throws the
 * signal's reason.
 */
export async function timePeer ({ node, model, unitWork }: TimePeerInit, { peerId, addresses, ranges }: PeerRecord, { signal }: { signal: AbortSignal }): Promise<number | undefined> {
  const { libp2p, links, log } = startedNode(node)
  const range = ranges.find(({ state }) => state === 'serving')?.range
  if (range === undefined || libp2p.getConnections().length === 0) return undefined
  const { architecture } = model.manifest
  const session = randomBytes(16).toString('hex')
  const place = { stage: 1, range, local: false, peerId, addresses }
  const stage = createRemoteStage({
    session,
    peerId,
    links,
    connect: async signal => await connectTo(libp2p, peerId, addresses, signal),
    disconnect: () => disconnectFrom(libp2p, peerId)
  })
  const chain = createRemoteChain({
    session,
    epoch: 1,
    stages: [stage],
    places: [place],
    fresh: [true],
    architecture,
    deadlines: { ...DEFAULT_DEADLINES, open: TIMED_OPEN_MILLISECONDS, step: TIMED_STEP_MILLISECONDS },
    clock: createStepClock(TIMED_STEP_MILLISECONDS),
    log,
    onPing: () => {},
    onFailure: () => {},
    onLeaving: () => {},
    mayReplace: () => false
  })
  const abort = (): void => stage.release()
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    await chain.open({ self: node.peerId, modelId: model.modelId, stageCount: 1, capacity: 0, wanted: TIMED_STEPS + 1, openBy: performance.now() + TIMED_OPEN_MILLISECONDS, signal })
    const way = await shortest(TIMED_PINGS, async () => { await stage.request({ kind: Kind.probe }, Kind.probed, CONTROL_MILLISECONDS) })
    const step = await timeSteps(chain, architecture, range)
    const work = unitWork.slice(range.from, range.to).reduce((sum, unit) => sum + unit, 0)
    return work / Math.max(step.seconds - way, step.claimedSeconds, LEAST_SECONDS)
  } catch (error) {
    signal.throwIfAborted()
    log('peer %s could not be measured: %s', peerId, (error as Error).message)
    return isFull(error) ? undefined : 0
  } finally {
    signal.removeEventListener('abort', abort)
    chain.leave()
    stage.release()
  }
}

type Chain = Pick<ReturnType<typeof createRemoteChain>, 'process'>

async function timeSteps (chain: Chain, architecture: Architecture, range: PeerRecord['ranges'][number]['range']): Promise<{ seconds: number, claimedSeconds: number }> {
  const row = timedRow(architecture, range)
  let position = 0
  let claimed = Infinity
  const step = async (): Promise<void> => {
    const { spans, hidden } = await chain.process({ sequence: position + 1, position, rows: 1, ...row })
    // in a route, the next stage would notice
    if (hidden?.every(Number.isFinite) === false) throw new Error('its answer has numbers that are not finite')
    if (position++ > 0) claimed = Math.min(claimed, spans[0] / 1000)
  }
  await step()
  const seconds = await shortest(TIMED_STEPS, step)
  return { seconds, claimedSeconds: claimed > 0 && claimed < seconds ? claimed : 0 }
}

/** Seconds of the fastest of some. */
async function shortest (times: number, run: () => Promise<void>): Promise<number> {
  let least = Infinity
  for (let turn = 0; turn < times; turn++) {
    const started = performance.now()
    await run()
    least = Math.min(least, performance.now() - started)
  }
  return least / 1000
}

/** It answers, and would do what it says if it had not so much to do, or were not about to leave. */
function isFull (error: unknown): boolean {
  const errors = error instanceof AggregateError ? error.errors as Error[] : [error as Error]
  return errors.some(({ name, retryable }: Error & { retryable?: boolean }) => retryable === true && (name === 'StageRefusedError' || name === 'StageFailedError'))
}
