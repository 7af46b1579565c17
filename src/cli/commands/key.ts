import { writeFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import { note, style, write } from '../terminal.ts'
import type { Command } from 'commander'
import type { Context } from '../context.ts'

export function defineKey (program: Command, { terminal }: Context): void {
  const key = program.command('key').description('Keys of private swarms, and of clients.')
    .addHelpText('after', `
Example:
  $ efedllm key generate swarm.key
  $ efedllm key id ~/my-identity`)
  key.command('generate [file]')
    .description('Make a key for a private swarm, into a file that only you can read, or on stdout.')
    .addHelpText('after', `
Example:
  $ efedllm key generate swarm.key
  $ efedllm peer --network-key swarm.key`)
    .action(async (file: string | undefined) => {
      const { createNetworkKey, formatNetworkKey } = await import('../../peer/index.ts')
      const text = formatNetworkKey(createNetworkKey())
      if (file === undefined || file === '-') {
        await write(terminal.stdout, text)
        return
      }
      try {
        await writeFile(file, text, { mode: 0o600, flag: 'wx' })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        throw new UsageError(`${file}: is there already`, 'a key that is overwritten locks everybody out who has it; name another file')
      }
      note(terminal, style(terminal, 'dim', `${file}: whoever has it can join; hand it out by a safe way`))
    })
  key.command('id <folder>')
    .description('Print the id of the identity in a folder, for the --allow list of peers; make one where there is none. A peer keeps its own in its --data-dir, a client in --identity.')
    .addHelpText('after', `
Example:
  $ efedllm key id ~/my-identity
  $ efedllm prompt --identity ~/my-identity --join efedllm1… "Hello"`)
    .action(async (folder: string) => {
      const { identityOf } = await import('../../peer/index.ts')
      await write(terminal.stdout, `${await identityOf(folder)}\n`)
    })
}
