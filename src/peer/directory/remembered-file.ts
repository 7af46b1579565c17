import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MAXIMUM_REMEMBERED_BYTES } from './constants.ts'
import { formatRemembered, parseRemembered } from './remembered.ts'
import type { RememberedPeer } from './remembered.ts'

/** Name of the file in a data directory. */
export const REMEMBERED_FILE = 'peers.json'

/** An empty list where there is none, or it cannot be read: it is only a help. */
export async function readRemembered (path: string): Promise<RememberedPeer[]> {
  try {
    const bytes = await readFile(path)
    return bytes.length > MAXIMUM_REMEMBERED_BYTES ? [] : parseRemembered(bytes.toString('utf8'))
  } catch {
    return []
  }
}

/** The file is complete before it gets its name: a crash leaves the old one. */
export async function writeRemembered (path: string, peers: readonly RememberedPeer[]): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(formatRemembered(peers))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/** Addresses that the peer with this data directory has written down, the latest first; those of one model. */
export async function rememberedAddresses (dataDirectory: string): Promise<string[]> {
  const peers = await readRemembered(join(dataDirectory, REMEMBERED_FILE))
  return peers.filter(({ modelId }) => modelId === peers[0].modelId).flatMap(({ peerId, addresses }) => addresses.slice(0, 1).map(address => address.endsWith(`/p2p/${peerId}`) ? address : `${address}/p2p/${peerId}`))
}
