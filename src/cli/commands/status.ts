import { join as joinPath } from 'node:path'
import { Option } from 'commander'
import { addAccessOptions, addIdentityOption, clientNode, readAccess } from '../access.ts'
import { EXIT_FAILURE } from '../constants.ts'
import { ownSwarm } from '../invites.ts'
import { list } from '../parse.ts'
import { coverageTable, peerTable, statusJson } from '../status-lines.ts'
import { note, style, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Survey } from '../../peer/index.ts'
import type { AccessOptions, IdentityOptions } from '../access.ts'
import type { Context } from '../context.ts'

interface StatusFlags extends AccessOptions, IdentityOptions {
  dataDir?: string
  json?: boolean
}

export function defineStatus (program: Command, context: Context): void {
  define(program, context, 'status', 'Show a swarm: how many peers serve each unit of the model, the weakest units, and every peer with its load and how far away it is. Exit code 1 where a unit is served by nobody.', async ({ terminal }, survey) => {
    await write(terminal.stdout, `${[...coverageTable(survey), '', ...peerTable(survey)].join('\n')}\n`)
  })
}

export function definePeers (program: Command, context: Context): void {
  define(program, context, 'peers', 'List the peers of a swarm, with what they host and how busy they are.', async ({ terminal }, survey) => {
    await write(terminal.stdout, `${peerTable(survey).join('\n')}\n`)
  })
}

function define (program: Command, context: Context, name: string, description: string, show: (context: Context, survey: Survey) => Promise<void>): void {
  const command = program.command(name)
    .description(description)
    .addOption(new Option('-j, --join <addresses>', 'peers to ask, or an invite (default: the peer of this machine, and those that it remembers)').argParser(list).env('EFEDLLM_JOIN'))
    .option('--data-dir <folder>', 'that of the peer (default: peer, in the data directory)')
    .option('--json', 'print one JSON value as the last line of stdout (docs/json.md)')
  addIdentityOption(addAccessOptions(command))
    .addHelpText('after', `
Examples:
  $ efedllm ${name}
  $ efedllm ${name} --join efedllm1… --json`)
    .action(async (flags: StatusFlags) => {
      const survey = await take(context, flags)
      if (flags.json === true) await writeJson(context.terminal, statusJson(survey))
      else await show(context, survey)
      const nobody = !survey.peers.some(({ info }) => info !== undefined)
      if (nobody && flags.json !== true) note(context.terminal, style(context.terminal, 'yellow', 'no peer answers: name some with --join, and check that they run'))
      if (nobody || (name === 'status' && (survey.holders?.includes(0) ?? true))) context.exitCode = EXIT_FAILURE
    })
}

async function take ({ terminal, signal }: Context, flags: StatusFlags): Promise<Survey> {
  const { dataDirectory } = await import('../../model/index.ts')
  const directory = flags.dataDir ?? joinPath(dataDirectory(terminal.env), 'peer')
  const access = await readAccess({ ...flags, join: flags.join ?? await ownSwarm(directory) })
  const { createPeerNode, surveySwarm } = await import('../../peer/index.ts')
  const node = createPeerNode(clientNode(flags, access.key, { gossip: false, relay: 'use' }))
  await node.start({ signal })
  try {
    return await surveySwarm({ node, addresses: access.join, modelId: access.invitedModelId }, { signal })
  } finally {
    await node.stop()
  }
}
