import { join as joinPath } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { dataDirectoryHolder } from '../data-lock.ts'
import { UsageError } from '../errors.ts'
import { note } from '../terminal.ts'
import type { Command } from 'commander'
import type { Context } from '../context.ts'

/** How often to look whether the peer has gone. */
const LOOK_MILLISECONDS = 100

export function defineDrain (program: Command, context: Context): void {
  program.command('drain')
    .description('End the peer that runs on this machine, in order: it takes no new sessions, those that it has move to other peers, and then it stops. As one Ctrl-C in its terminal.')
    .option('--data-dir <folder>', 'that of the peer (default: peer, in the data directory)')
    .addHelpText('after', `
Examples:
  $ efedllm drain
  $ efedllm drain --data-dir ~/second-peer`)
    .action(async (flags: { dataDir?: string }) => {
      const { terminal, signal } = context
      const { dataDirectory } = await import('../../model/index.ts')
      const directory = flags.dataDir ?? joinPath(dataDirectory(terminal.env), 'peer')
      const holder = dataDirectoryHolder(directory)
      if (holder === undefined) throw new UsageError(`no peer runs with the data directory ${directory}`, 'name its folder with --data-dir; a peer with --ephemeral has none: press Ctrl-C where it runs')
      process.kill(holder, 'SIGTERM')
      note(terminal, `peer ${holder} drains`)
      while (dataDirectoryHolder(directory) === holder) await pause(LOOK_MILLISECONDS, undefined, { signal })
      note(terminal, 'it has stopped')
    })
}
