import { CommanderError } from 'commander'
import { EXIT_OK } from './constants.ts'
import { UsageError } from './errors.ts'
import { interruptCode, listenForInterrupt } from './interrupt.ts'
import { createProgram } from './program.ts'
import { reportError } from './report-error.ts'
import { processTerminal } from './terminal.ts'
import type { Context } from './context.ts'
import type { Terminal } from './terminal.ts'

/**
 * Runs one command line.
 *
 * @param argv arguments after the program's name
 * @param terminal streams and environment, those of the process by default
 * @returns exit code: 0 done, 1 failed, 2 not understood, 130 interrupted
 */
export async function main (argv: string[], terminal: Terminal = processTerminal()): Promise<number> {
  const interrupt = listenForInterrupt(terminal)
  const context: Context = { terminal, signal: interrupt.signal, onExit: interrupt.onExit, exitCode: EXIT_OK }
  const leave = (error: NodeJS.ErrnoException): void => {
    // the reader of our output has gone (`| head`): nobody is left to tell
    if (error.code === 'EPIPE') process.exit(EXIT_OK)
  }
  terminal.stdout.on('error', leave)
  terminal.stderr.on('error', leave)
  try {
    await createProgram(context).parseAsync(argv, { from: 'user' })
    return context.exitCode
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT_OK
    const code = reportError(terminal, error instanceof CommanderError ? asUsageError(error, argv) : error, { json: argv.includes('--json') })
    return interruptCode(interrupt.signal) || code
  } finally {
    interrupt.dispose()
    terminal.stdout.off('error', leave)
    terminal.stderr.off('error', leave)
  }
}

/** Commander's `error: what\n(Did you mean …?)` in our two lines. */
function asUsageError (error: CommanderError, argv: string[]): UsageError {
  if (error.code === 'commander.help') return new UsageError('no command given', 'efedllm --help lists the commands')
  const [first, ...rest] = error.message.replace(/^error: /, '').split('\n')
  const command = argv.find(argument => !argument.startsWith('-'))
  const help = error.code === 'commander.unknownCommand' || command === undefined ? 'efedllm --help' : `efedllm ${command} --help`
  const suggestion = /\((Did you mean .*)\)/.exec(rest.join(' '))?.[1]
  return new UsageError(first, `${suggestion === undefined ? '' : `${suggestion} `}${help} tells more`)
}
