import { constants } from 'node:os'
import { EXIT_OK } from './constants.ts'
import { InterruptedError } from './errors.ts'
import { note } from './terminal.ts'
import type { Context } from './context.ts'
import type { Terminal } from './terminal.ts'

export interface Interrupt extends Pick<Context, 'signal' | 'onExit'> {
  dispose: () => void
}

/**
 * The first signal aborts, so that everything can be closed in order; the
 * second ends the process at once. Actions for the exit run whatever ends the
 * process, short of SIGKILL.
 */
export function listenForInterrupt (terminal: Terminal): Interrupt {
  const controller = new AbortController()
  const actions = new Set<() => void>()

  const runActions = (): void => {
    for (const action of actions) action()
    actions.clear()
  }
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      note(terminal, `${terminal.stderr.isTTY === true ? '\n' : ''}efedllm: stopping; once more to stop at once`)
      controller.abort(new InterruptedError(signal))
    } else {
      process.exit(128 + constants.signals[signal])
    }
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('exit', runActions)

  return {
    signal: controller.signal,
    onExit: action => {
      actions.add(action)
      return () => actions.delete(action)
    },
    dispose: () => {
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
      process.off('exit', runActions)
    }
  }
}

/** Exit code of a run that was interrupted, 0 of one that was not. */
export function interruptCode (signal: AbortSignal): number {
  return signal.reason instanceof InterruptedError ? signal.reason.exitCode : EXIT_OK
}

/** The same for what runs until it is stopped: SIGTERM is how a service is told to end, and no failure. */
export function serviceCode (signal: AbortSignal): number {
  return signal.reason instanceof InterruptedError && signal.reason.signal === 'SIGTERM' ? EXIT_OK : interruptCode(signal)
}

export async function untilAborted (signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
}
