import { existsSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { Option } from 'commander'
import { addAccessOptions, readAccess } from '../access.ts'
import { DEFAULT_LISTEN, EXIT_FAILURE } from '../constants.ts'
import { dataDirectoryHolder, lockDataDirectory } from '../data-lock.ts'
import { coverageLines, doctorJson, problemWords, skewWords } from '../doctor-lines.ts'
import { reachabilityWords, shortPeerId, table } from '../format.ts'
import { ownSwarm } from '../invites.ts'
import { list } from '../parse.ts'
import { note, style, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { Diagnosis } from '../../peer/index.ts'
import type { AccessOptions } from '../access.ts'
import type { Context } from '../context.ts'

interface DoctorFlags extends AccessOptions {
  listen?: string[]
  announce?: string[]
  dataDir?: string
  json?: boolean
}

export function defineDoctor (program: Command, context: Context): void {
  const command = program.command('doctor')
    .description('Find out what is wrong: can others reach a peer on this machine, is its clock right, do the peers run the same version and model, and do they cover it all. Exit code 1 where something is wrong.')
    .addOption(new Option('-j, --join <addresses>', 'peers to ask, or an invite (default: those that the peer of this machine remembers)').argParser(list).env('EFEDLLM_JOIN'))
    .option('--listen <addresses>', `as the peer would (default: ${DEFAULT_LISTEN}); stop it first where it has the same port`, list)
    .option('--announce <addresses>', 'as the peer would', list)
    .option('--data-dir <folder>', 'that of the peer (default: peer, in the data directory)')
    .option('--json', 'print one JSON value as the last line of stdout (docs/json.md)')
  addAccessOptions(command)
    .addHelpText('after', `
Examples:
  $ efedllm doctor
  $ efedllm doctor --join efedllm1… --listen /ip4/0.0.0.0/tcp/4001`)
    .action(async (flags: DoctorFlags) => { await runDoctor(context, flags) })
}

async function runDoctor (context: Context, flags: DoctorFlags): Promise<void> {
  const { terminal, signal } = context
  const { dataDirectory } = await import('../../model/index.ts')
  const directory = flags.dataDir ?? joinPath(dataDirectory(terminal.env), 'peer')
  const access = await readAccess({ ...flags, join: flags.join ?? await ownSwarm(directory) })
  const { createPeerNode, diagnose } = await import('../../peer/index.ts')
  // the peer's own identity, which others may have in a list, unless the peer itself uses it now
  const free = existsSync(directory) && dataDirectoryHolder(directory) === undefined
  const unlock = free ? lockDataDirectory(directory) : () => {}
  context.onExit(unlock)
  const node = createPeerNode({
    listen: flags.listen ?? [DEFAULT_LISTEN],
    announce: flags.announce,
    dataDirectory: free ? directory : undefined,
    discovery: { gossip: false, relay: 'use' },
    network: { key: access.key }
  })
  try {
    await node.start({ signal })
    const diagnosis = await diagnose({ node, addresses: access.join, modelId: access.invitedModelId }, { signal })
    if (flags.json === true) await writeJson(terminal, doctorJson(diagnosis))
    else await show(context, diagnosis)
    if (diagnosis.problems.length > 0) context.exitCode = EXIT_FAILURE
  } finally {
    await node.stop()
    unlock()
  }
}

async function show ({ terminal }: Context, diagnosis: Diagnosis): Promise<void> {
  const { reachability, peers, problems } = diagnosis
  const lines = [
    `others reach a peer here ${reachabilityWords(reachability)}`,
    skewWords(diagnosis.clockSkewMilliseconds),
    ...coverageLines(diagnosis),
    ...table(peers.map(({ address, info, error }) => [info === undefined ? '?' : `peer ${shortPeerId(info.peerId)}`, info?.software ?? '', info?.hosted?.modelId.slice(0, 12) ?? '', error?.message ?? address.replace(/\/p2p\/[^/]+$/, '')]))
  ]
  await write(terminal.stdout, `${lines.join('\n')}\n`)
  for (const problem of problems) note(terminal, style(terminal, 'yellow', problemWords(problem, diagnosis)))
  if (problems.length === 0) note(terminal, style(terminal, 'green', 'nothing wrong was found'))
}
