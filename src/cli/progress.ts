import { PROGRESS_DELAY_MILLISECONDS } from './constants.ts'
import type { OutputOptions } from './context.ts'
import type { Terminal } from './terminal.ts'

/** A bar on stderr for work that takes long; silent where nobody watches. */
export interface Progress {
  /** `done` of `total`, any unit; a new label starts a new bar */
  update: (label: string, done: number, total: number) => void
  /** takes the bar away */
  stop: () => void
}

const silent: Progress = { update: () => {}, stop: () => {} }

interface Bar {
  start: (total: number, done: number, payload: object) => void
  update: (done: number) => void
  stop: () => void
}

/** Bars need a terminal, and are unwanted in logs of continuous integration and beside JSON. */
export function wantsProgress (terminal: Terminal, options: OutputOptions): boolean {
  const { CI, TERM } = terminal.env
  const continuous = CI !== undefined && CI !== '' && CI !== 'false'
  return terminal.stderr.isTTY === true && !continuous && TERM !== 'dumb' && options.json !== true && options.progress !== false
}

/** `now` is the clock, in milliseconds. */
export function createProgress (terminal: Terminal, options: OutputOptions, now: () => number = () => performance.now()): Progress {
  if (!wantsProgress(terminal, options)) return silent
  let label = ''
  let since = 0
  let bar: Bar | undefined
  let loading = false
  let latest = { done: 0, total: 0 }

  const show = async (): Promise<void> => {
    loading = true
    const { default: progress } = await import('cli-progress')
    loading = false
    // may have ended meanwhile
    if (label === '' || latest.done >= latest.total) return
    bar = new progress.SingleBar({
      format: '{label} {bar} {percentage} %  {eta_formatted}',
      stream: terminal.stderr as NodeJS.WriteStream,
      hideCursor: true,
      clearOnComplete: true,
      barsize: 30
    }, progress.Presets.shades_classic)
    bar.start(latest.total, latest.done, { label })
  }
  const stop = (): void => {
    bar?.stop()
    bar = undefined
    label = ''
  }
  return {
    update: (name, done, total) => {
      if (name !== label) {
        stop()
        label = name
        since = now()
      }
      latest = { done, total }
      if (bar !== undefined) bar.update(done)
      else if (!loading && done < total && now() - since > PROGRESS_DELAY_MILLISECONDS) show().catch(() => {})
    },
    stop
  }
}
