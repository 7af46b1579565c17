import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Option } from 'commander'
import { MAX_KEY_FILE_BYTES } from './constants.ts'
import { UsageError } from './errors.ts'
import type { Command } from 'commander'
import type { DiscoveryInit, Invite, PeerNodeInit } from '../peer/index.ts'

// How a command gets into a swarm: addresses and invites, and the key of a private one.

export interface AccessOptions {
  /** addresses and invites, as they were typed */
  join?: string[]
  /** path of a key file */
  networkKey?: string
}

export interface Access {
  /** multiaddrs */
  join: string[]
  key: Uint8Array | undefined
  /** what the invites are for, where there are any */
  invitedModelId: string | undefined
}

export function addAccessOptions (command: Command): Command {
  return command.addOption(new Option('--network-key <file>', 'key of a private swarm; an invite may hold it too').env('EFEDLLM_NETWORK_KEY'))
}

/** For swarms with a list of who may take part: a client that is in it has to be known again. */
export function addIdentityOption (command: Command): Command {
  return command.addOption(new Option('--identity <folder>', 'be known by the key in this folder, which is made if there is none; for peers with an --allow list (default: a new identity each time)').env('EFEDLLM_IDENTITY'))
}

export interface IdentityOptions {
  /** folder of a key */
  identity?: string
}

/** What a node of a client is made with: a swarm that it only asks is nothing to remember. */
export function clientNode ({ identity }: IdentityOptions, key: Uint8Array | undefined, discovery: DiscoveryInit = {}): PeerNodeInit {
  return { dataDirectory: identity, discovery: { ...discovery, remember: false }, network: { key } }
}

/** Whether a text is meant as an invite; known without loading what can read it. */
export function looksLikeInvite (text: string): boolean {
  return /^efedllm\d/.test(text)
}

/** Takes invites apart, and reads the key. Throws UsageError, InvalidInviteError, NetworkKeyError. */
export async function readAccess ({ join = [], networkKey }: AccessOptions): Promise<Access> {
  const plain = { join, key: undefined, invitedModelId: undefined }
  if (networkKey === undefined && !join.some(looksLikeInvite)) return plain
  const { decodeInvite, parseNetworkKey } = await import('../peer/index.ts')
  const invites = join.filter(looksLikeInvite).map(decodeInvite)
  const file = networkKey === undefined ? undefined : parseNetworkKey(await readKeyFile(networkKey))
  return {
    join: [...join.filter(entry => !looksLikeInvite(entry)), ...invites.flatMap(({ addresses }) => addresses)],
    key: theOne([...file === undefined ? [] : [file], ...invites.flatMap(({ networkKey }) => networkKey ?? [])], (key, other) => Buffer.compare(key, other) === 0, 'keys'),
    invitedModelId: theOne(invites.map(({ modelId }: Invite) => modelId), (id, other) => id === other, 'models')
  }
}

/** Refuses a model that the peers of an invite do not host, before anybody is asked. */
export function checkInvited ({ modelId, name }: { modelId: string, name: string }, { invitedModelId }: Partial<Access>): void {
  if (invitedModelId === undefined || invitedModelId === modelId) return
  throw new UsageError(
    `the invite is for model ${invitedModelId.slice(0, 12)}…, and ${name} is ${modelId.slice(0, 12)}…`,
    'name the model that the peers host with --model; whoever sent the invite knows which it is'
  )
}

/** PeerIds with commas between, or a file of them. Throws InvalidPeerIdError. */
export async function readAllowList (text: string): Promise<string[]> {
  const { parseAllowList } = await import('../peer/index.ts')
  return parseAllowList(existsSync(text) ? await readFile(text, 'utf8') : text)
}

async function readKeyFile (path: string): Promise<string> {
  let bytes
  try {
    bytes = await readFile(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new UsageError(`--network-key ${path}: ${code === 'ENOENT' ? 'there is no such file' : `cannot be read (${message})`}`, 'it is the file that whoever runs the swarm has given you; efedllm key generate FILE makes one for a new swarm')
  }
  if (bytes.length > MAX_KEY_FILE_BYTES) throw new UsageError(`--network-key ${path}: it has ${bytes.length} bytes, a key file has about a hundred`)
  return bytes.toString('utf8')
}

function theOne<Value> (values: readonly Value[], same: (one: Value, other: Value) => boolean, what: string): Value | undefined {
  if (values.some(value => !same(value, values[0]))) throw new UsageError(`the invites and options are of several ${what}: join one swarm at a time`)
  return values[0]
}
