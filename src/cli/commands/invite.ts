import { join as joinPath } from 'node:path'
import { Option } from 'commander'
import { addAccessOptions, addIdentityOption, clientNode, readAccess } from '../access.ts'
import { dataDirectoryHolder } from '../data-lock.ts'
import { UsageError } from '../errors.ts'
import { readKeptInvite } from '../invites.ts'
import { list } from '../parse.ts'
import { note, style, write, writeJson } from '../terminal.ts'
import type { Command } from 'commander'
import type { PeerInfo, PeerNode } from '../../peer/index.ts'
import type { Access, AccessOptions, IdentityOptions } from '../access.ts'
import type { Context } from '../context.ts'
import type { InviteJson } from '../json.ts'

interface InviteFlags extends AccessOptions, IdentityOptions {
  dataDir?: string
  json?: boolean
}

export function defineInvite (program: Command, context: Context): void {
  const command = program.command('invite')
    .description('Print one string with which others can join: addresses, model, and the key of a private swarm. Of the peer that runs on this machine, or of those of --join.')
    .addOption(new Option('-j, --join <addresses>', 'peers of the swarm; repeat it, or put commas between').argParser(list).env('EFEDLLM_JOIN'))
    .option('--data-dir <folder>', 'that of the peer (default: peer, in the data directory)')
    .option('--json', 'print one JSON value as the last line of stdout (docs/json.md)')
  addIdentityOption(addAccessOptions(command))
    .addHelpText('after', `
Examples:
  $ efedllm invite
  $ efedllm peer $(efedllm invite)
  $ efedllm prompt --join efedllm1… "Hello"`)
    .action(async (flags: InviteFlags) => {
      const kept = (flags.join ?? []).length > 0 ? [] : [await ownInvite(context, flags)]
      const access = await readAccess({ ...flags, join: [...flags.join ?? [], ...kept] })
      await print(context, flags, await collect(context, flags, access, kept[0]), access.key !== undefined)
    })
}

async function ownInvite ({ terminal }: Context, { dataDir }: InviteFlags): Promise<string> {
  const { dataDirectory } = await import('../../model/index.ts')
  const directory = dataDir ?? joinPath(dataDirectory(terminal.env), 'peer')
  const invite = dataDirectoryHolder(directory) === undefined ? undefined : await readKeptInvite(directory)
  if (invite === undefined) throw new UsageError(`no peer runs with ${directory}`, 'start one with efedllm peer, or name a peer of the swarm with --join')
  return invite
}

/** Asks the peers for others, so that the invite outlives them. */
async function collect ({ signal, terminal }: Context, flags: InviteFlags, access: Access, kept: string | undefined): Promise<string> {
  const { createPeerNode, encodeInvite, inviteAddresses } = await import('../../peer/index.ts')
  const node = createPeerNode(clientNode(flags, access.key))
  await node.start({ signal })
  try {
    const infos = await askAll(node, access.join, signal)
    if (infos.length === 0 && kept !== undefined) {
      note(terminal, style(terminal, 'dim', 'the peer does not answer this command; its own addresses are in the invite alone'))
      return kept
    }
    const modelId = access.invitedModelId ?? theModel(infos)
    await node.directory?.refresh(modelId, { signal })
    const records = node.directory?.records(modelId) ?? []
    const asked = infos.filter(({ hosted }) => hosted?.modelId === modelId).map(({ peerId, addresses }, index) => ({ peerId, addresses: [...addresses, ...addresses.length === 0 ? [access.join[index]] : []] }))
    const peers = new Map([...records, ...asked].map(({ peerId, addresses }) => [peerId, addresses]))
    // who was asked is surely there
    const order = [...asked.map(({ peerId }) => peerId), ...peers.keys()]
    return encodeInvite({ modelId, addresses: inviteAddresses([...new Set(order)].map(peerId => peers.get(peerId) ?? [])), networkKey: access.key })
  } finally {
    await node.stop()
  }
}

async function askAll (node: PeerNode, addresses: string[], signal: AbortSignal): Promise<PeerInfo[]> {
  const answers = await Promise.allSettled(addresses.map(async address => await node.info(address, { signal })))
  signal.throwIfAborted()
  const infos = answers.flatMap(answer => answer.status === 'fulfilled' ? [answer.value] : [])
  const failed = answers.find(answer => answer.status === 'rejected')
  // an invite of our own may name a peer that lets only some in
  if (infos.length === 0 && failed !== undefined && failed.reason.code !== 'ERR_PEER_UNREACHABLE') throw failed.reason
  return infos
}

function theModel (infos: PeerInfo[]): string {
  const ids = [...new Set(infos.flatMap(({ hosted }) => hosted?.modelId ?? []))]
  if (ids.length === 1) return ids[0]
  throw new UsageError(ids.length === 0 ? 'the peers of --join do not answer, or host nothing' : `the peers of --join host ${ids.length} models`, 'name peers of one swarm')
}

async function print ({ terminal }: Context, { json }: InviteFlags, invite: string, hasKey: boolean): Promise<void> {
  if (json !== true) {
    await write(terminal.stdout, `${invite}\n`)
    if (hasKey) note(terminal, style(terminal, 'yellow', 'it holds the key of the swarm: whoever has it can join'))
    return
  }
  const { decodeInvite } = await import('../../peer/index.ts')
  const { modelId, addresses } = decodeInvite(invite)
  const value: InviteJson = { invite, modelId, addresses, private: hasKey }
  await writeJson(terminal, value)
}
