import { DEFAULT_MODEL } from './constants.ts'
import { bytes } from './format.ts'
import { note, style } from './terminal.ts'
import type { Model, PullProgress } from '../model/index.ts'
import type { Context, OutputOptions } from './context.ts'
import type { Progress } from './progress.ts'

/** Finds a model by path or name, fetching it where it is not here yet, and opens it. */
export async function openModelByName (context: Context, name: string | undefined, progress: Progress, options: OutputOptions = {}): Promise<Model> {
  return await openModelAt(context, await findModel(context, name, progress, options), progress)
}

/** Path of a model on this machine. */
export async function findModel (context: Context, name: string = DEFAULT_MODEL, progress: Progress, options: OutputOptions = {}): Promise<string> {
  const { resolveModel } = await import('../model/index.ts')
  try {
    return await resolveModel(name, { signal: context.signal, onProgress: showPull(context, progress, options), environment: context.terminal.env })
  } finally {
    progress.stop()
  }
}

export async function openModelAt (context: Context, path: string, progress: Progress): Promise<Model> {
  const { openModel } = await import('../model/index.ts')
  try {
    return await openModel(path, {
      signal: context.signal,
      onProgress: ({ done, total }) => progress.update('reading the model', done, total)
    })
  } finally {
    progress.stop()
  }
}

/** Shows the progress of a pull, and says on stderr why the first source was left. */
export function showPull ({ terminal }: Context, progress: Progress, options: OutputOptions = {}): (event: PullProgress) => void {
  return event => {
    if (event.phase === 'fallback') {
      progress.stop()
      if (options.json !== true) {
        const where = event.source === 'pip' ? 'trying pip' : 'taking what is on this machine'
        note(terminal, style(terminal, 'dim', `${event.reason?.message ?? 'no answer'}; ${where}`))
      }
    } else if (event.total > 0) {
      progress.update(`${event.phase} ${bytes(event.total)}`, event.received, event.total)
    }
  }
}
