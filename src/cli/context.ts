import type { Terminal } from './terminal.ts'

/** What a command gets beside its options. */
export interface Context {
  terminal: Terminal
  /** aborts on the first Ctrl-C or SIGTERM: finish cleanly */
  signal: AbortSignal
  /** runs when the process must end at once (second Ctrl-C, crash); synchronous. Gives back how to take it off again */
  onExit: (action: () => void) => () => void
  /** exit code of a run that throws nothing */
  exitCode: number
}

/** Options that every command has. */
export interface OutputOptions {
  json?: boolean
  progress?: boolean
}
