import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, open, readFile, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { KeyFileError } from './errors.ts'

export const KEY_FILE = 'peer.key'

/** An Ed25519 key in protobuf form has 68 bytes, an RSA-4096 one about 2,400. */
const MAXIMUM_KEY_BYTES = 8192

/**
 * The key in `dataDirectory`, made if there is none. The file is written
 * completely before it gets its name, with mode 0600; of two processes that
 * start at once, both take the key of the one that came first.
 */
export async function loadOrCreateKey (dataDirectory: string): Promise<PrivateKey> {
  const path = join(dataDirectory, KEY_FILE)
  return await load(path) ?? await create(dataDirectory, path)
}

/** The PeerId of a node with this data directory; makes a key if there is none. */
export async function identityOf (dataDirectory: string): Promise<string> {
  return peerIdFromPrivateKey(await loadOrCreateKey(dataDirectory)).toString()
}

async function load (path: string): Promise<PrivateKey | undefined> {
  let bytes
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new KeyFileError(path, 'cannot be read', error)
  }
  if (bytes.length > MAXIMUM_KEY_BYTES) throw new KeyFileError(path, `has ${bytes.length} bytes; a key is smaller`)
  try {
    const key = privateKeyFromProtobuf(bytes)
    await chmod(path, 0o600)
    return key
  } catch (error) {
    throw new KeyFileError(path, 'holds no key; remove it to get a new identity', error)
  }
}

async function create (dataDirectory: string, path: string): Promise<PrivateKey> {
  const key = await generateKeyPair('Ed25519')
  const temporary = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await mkdir(dataDirectory, { recursive: true, mode: 0o700 })
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(privateKeyToProtobuf(key))
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await link(temporary, path)
    } finally {
      await unlink(temporary)
    }
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      const other = await load(path)
      if (other !== undefined) return other
    }
    throw new KeyFileError(path, 'cannot be written', error)
  }
}
