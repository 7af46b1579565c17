import { randomBytes } from 'node:crypto'
import { NetworkKeyError } from './errors.ts'

export const NETWORK_KEY_BYTES = 32

/** The file that go-ipfs calls swarm.key, so that other tools of libp2p read ours and the other way round. */
const HEADER = '/key/swarm/psk/1.0.0/\n/base16/\n'

/** A new key for a private swarm. */
export function createNetworkKey (): Uint8Array {
  return new Uint8Array(randomBytes(NETWORK_KEY_BYTES))
}

/** As it is written into a file. */
export function formatNetworkKey (key: Uint8Array): string {
  return `${HEADER}${Buffer.from(checkNetworkKey(key)).toString('hex')}\n`
}

/** Reads the content of a key file, or the 64 hex digits alone. Throws NetworkKeyError; never says what was there. */
export function parseNetworkKey (text: string): Uint8Array {
  const match = /^(?:\/key\/swarm\/psk\/1\.0\.0\/\s+\/base16\/\s+)?([0-9a-fA-F]{64})\s*$/.exec(text.slice(0, 1024).trimStart())
  if (match === null) throw new NetworkKeyError('it has not the form of one; `efedllm key generate` makes one')
  return new Uint8Array(Buffer.from(match[1], 'hex'))
}

/** Throws NetworkKeyError. */
export function checkNetworkKey (key: Uint8Array): Uint8Array {
  if (key.length !== NETWORK_KEY_BYTES) throw new NetworkKeyError(`it has ${key.length} bytes, not ${NETWORK_KEY_BYTES}`)
  return key
}
