import { dataDirectoryHolder } from './data-lock.ts'
import { rmSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerNode } from '../peer/index.ts'

/** Where a peer that runs keeps its invite; only its owner may read it, since it may hold a key. */
const INVITE_FILE = 'invite'

/** An invite to the swarm of a node; undefined where it has no address to give. */
export async function inviteOf (node: Pick<PeerNode, 'addresses'>, modelId: string, networkKey: Uint8Array | undefined): Promise<string | undefined> {
  const { encodeInvite, inviteAddresses } = await import('../peer/index.ts')
  const addresses = inviteAddresses([node.addresses])
  return addresses.length === 0 ? undefined : encodeInvite({ modelId, addresses, networkKey })
}

/** Leaves the invite for `efedllm invite`. Gives back how to remove it; that is synchronous so that it works while the process exits. */
export async function keepInvite (dataDirectory: string | undefined, invite: string | undefined): Promise<() => void> {
  if (dataDirectory === undefined || invite === undefined) return () => {}
  const path = join(dataDirectory, INVITE_FILE)
  await writeFile(path, `${invite}\n`, { mode: 0o600 })
  await chmod(path, 0o600)
  return () => rmSync(path, { force: true })
}

/** The invite of the peer that runs with this data directory; undefined where none does. */
export async function readKeptInvite (dataDirectory: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDirectory, INVITE_FILE), 'utf8')).trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Whom to ask where nobody is named: the peer that runs here, and those it remembers. */
export async function ownSwarm (directory: string): Promise<string[]> {
  const { rememberedAddresses } = await import('../peer/index.ts')
  const invite = dataDirectoryHolder(directory) === undefined ? undefined : await readKeptInvite(directory)
  return [...invite === undefined ? [] : [invite], ...await rememberedAddresses(directory)]
}
