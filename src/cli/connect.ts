import { clientNode } from './access.ts'
import { startEngine } from './engines.ts'
import { UsageError } from './errors.ts'
import { deadlines } from './options.ts'
import { repairLine, waitingLine } from './repair-lines.ts'
import { note, style } from './terminal.ts'
import { parseUnitList } from './units.ts'
import type { Engine } from '../engine/index.ts'
import type { Model, UnitRange } from '../model/index.ts'
import type { RouteProgress, RouteRepair, RouteSession } from '../peer/index.ts'
import type { Context } from './context.ts'
import type { RouteOptions } from './options.ts'
import type { Progress } from './progress.ts'

export interface ConnectInit {
  context: Context
  options: RouteOptions
  model: Model
  /** positions that the session must be able to hold; default: as many as the stages give */
  capacity?: number
  progress: Progress
}

export interface Connection {
  session: RouteSession
  /** of the route, in mid-text */
  repairs: RouteRepair[]
  /** milliseconds from the first dial to the open session */
  connectMilliseconds: number
  close: () => Promise<void>
}

/** Refuses a client that could only fail, before anything is loaded. */
export function checkRoute ({ join, local }: RouteOptions): void {
  if ((join ?? []).length === 0 && local === undefined) {
    throw new UsageError('no peers to ask', 'give their addresses with --join, or run everything here with --local all (or try `efedllm swarm`)')
  }
}

/** Opens a session along the peers given with --join and the units given with --local. */
export async function connect ({ context, options, model, capacity, progress }: ConnectInit): Promise<Connection> {
  const { signal } = context
  const { connectRoute, createLocalRoute, createPeerNode } = await import('../peer/index.ts')
  const ranges = options.local === undefined ? [] : parseUnitList(options.local, model.architecture.layerCount, '--local')
  const engines = await startEngines(context, model, ranges, options.threads, progress)
  const stopEngines = async (): Promise<void> => { await Promise.all(engines.map(engine => engine.stop())) }
  const addresses = options.join ?? []
  try {
    signal.throwIfAborted()
    if (addresses.length === 0) return await hold(() => createLocalRoute(engines, { capacity }), [], stopEngines)
    const node = createPeerNode(clientNode(options, options.key))
    await node.start({ signal })
    const repairs: RouteRepair[] = []
    const onProgress = (event: RouteProgress): void => tell(context, model.architecture.layerCount, repairs, event)
    try {
      return await hold(async () => await connectRoute({
        node, addresses, model, local: engines, capacity, deadlines: deadlines(options), onProgress
      }, { signal }), repairs, async () => {
        await node.stop()
        await stopEngines()
      })
    } catch (error) {
      await node.stop()
      throw error
    }
  } catch (error) {
    await stopEngines()
    throw error
  }
}

/** A peer that is lost in mid-text is worth a line, not more: the text goes on. */
function tell ({ terminal }: Context, layerCount: number, repairs: RouteRepair[], event: RouteProgress): void {
  if (event.type === 'route:repaired') repairs.push(event.repair)
  const line = event.type === 'route:repaired' ? repairLine(event.repair) : event.type === 'route:waiting' ? waitingLine(event.missing, layerCount) : undefined
  if (line === undefined) return
  // on a terminal the text stands where the cursor is
  const watched = terminal.stderr.isTTY === true && terminal.stdout.isTTY === true
  note(terminal, `${watched ? '\n' : ''}${style(terminal, 'dim', line)}`)
}

async function hold (open: () => RouteSession | Promise<RouteSession>, repairs: RouteRepair[], stop: () => Promise<void>): Promise<Connection> {
  const started = performance.now()
  const session = await open()
  return {
    session,
    repairs,
    connectMilliseconds: performance.now() - started,
    close: async () => {
      await session.close()
      await stop()
    }
  }
}

async function startEngines ({ terminal: { env }, signal }: Context, model: Model, ranges: UnitRange[], threads: number | undefined, progress: Progress): Promise<Engine[]> {
  const engines: Engine[] = []
  for (const range of ranges) engines.push(await startEngine({ model, range, threads, env, progress, signal }))
  return engines
}
