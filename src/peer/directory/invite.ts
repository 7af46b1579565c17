import { createHash } from 'node:crypto'
import { multiaddr } from '@multiformats/multiaddr'
import { base58btc } from 'multiformats/bases/base58'
import { PeerError } from '../errors.ts'
import { ByteReader, ByteWriter, hex, modelIdBytes } from '../wire/index.ts'
import { MAXIMUM_INVITE_ADDRESSES, MAXIMUM_INVITE_CHARACTERS } from './constants.ts'
import { InvalidInviteError } from './errors.ts'
import { checkNetworkKey, NETWORK_KEY_BYTES } from './network-key.ts'

/** All that somebody needs who wants to join: one string to paste. */
export interface Invite {
  modelId: string
  /** multiaddrs of some peers */
  addresses: string[]
  /** of a private swarm: whoever has the string can join */
  networkKey?: Uint8Array
}

/** With the version behind it, what all invites begin with. */
const PREFIX = 'efedllm'
const VERSION = 1
const CHECKSUM_BYTES = 4
const HAS_KEY = 1

/** Whether a text is meant as an invite, of whatever version. */
export function isInvite (text: string): boolean {
  return /^efedllm\d/.test(text)
}

/** Base58: letters and digits only, so that a double click takes all of it. Throws InvalidInviteError for what cannot be put in. */
export function encodeInvite ({ modelId, addresses, networkKey }: Invite): string {
  if (addresses.length === 0 || addresses.length > MAXIMUM_INVITE_ADDRESSES) throw new InvalidInviteError(`it would have ${addresses.length} addresses, 1 to ${MAXIMUM_INVITE_ADDRESSES} are possible`)
  const writer = new ByteWriter().u8(networkKey === undefined ? 0 : HAS_KEY).bytes(modelIdBytes(modelId))
  if (networkKey !== undefined) writer.bytes(checkNetworkKey(networkKey))
  writer.u8(addresses.length)
  for (const address of addresses) {
    const bytes = addressBytes(address)
    writer.u8(bytes.length).bytes(bytes)
  }
  const payload = writer.finish()
  return `${PREFIX}${VERSION}${base58btc.baseEncode(Buffer.concat([payload, checksum(payload)]))}`
}

/** Throws InvalidInviteError, which says what is wrong and never shows the string: it may have a key in it. */
export function decodeInvite (text: string): Invite {
  const match = /^efedllm(\d)/.exec(text)
  if (match === null) throw new InvalidInviteError(`an invite begins with ${PREFIX}${VERSION}`)
  if (Number(match[1]) !== VERSION) throw new InvalidInviteError(`it is of version ${match[1]}, this software knows version ${VERSION}`)
  if (text.length > MAXIMUM_INVITE_CHARACTERS) throw new InvalidInviteError('it is too long')
  let bytes
  try {
    bytes = base58btc.baseDecode(text.slice(match[0].length))
  } catch {
    throw new InvalidInviteError('it has a character that no invite has')
  }
  const payload = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES))
  if (!checksum(payload).equals(bytes.subarray(payload.length))) throw new InvalidInviteError('a character is wrong, or a part is missing; copy it again')
  try {
    return decodePayload(payload)
  } catch (error) {
    throw error instanceof PeerError && error.name === 'FrameError' ? new InvalidInviteError(error.message) : error
  }
}

function decodePayload (payload: Uint8Array): Invite {
  const reader = new ByteReader(payload)
  const flags = reader.u8('flags')
  if (flags > HAS_KEY) throw new InvalidInviteError('it wants something that this version does not know')
  const modelId = hex(reader.bytes(32, 'modelId'))
  const networkKey = flags === HAS_KEY ? reader.bytes(NETWORK_KEY_BYTES, 'key').slice() : undefined
  const count = reader.u8('addresses')
  if (count < 1 || count > MAXIMUM_INVITE_ADDRESSES) throw new InvalidInviteError(`it has ${count} addresses`)
  const addresses = Array.from({ length: count }, () => addressText(reader.bytes(reader.u8('address'), 'address')))
  reader.end('invite')
  return networkKey === undefined ? { modelId, addresses } : { modelId, addresses, networkKey }
}

function addressBytes (address: string): Uint8Array {
  let bytes
  try {
    bytes = multiaddr(address).bytes
  } catch {
    throw new InvalidInviteError(`${address} is no multiaddr`)
  }
  if (bytes.length > 255) throw new InvalidInviteError(`${address} is too long`)
  return bytes
}

function addressText (bytes: Uint8Array): string {
  try {
    return multiaddr(bytes).toString()
  } catch {
    throw new InvalidInviteError('an address in it has no meaning')
  }
}

function checksum (payload: Uint8Array): Buffer {
  return createHash('sha256').update('efedllm-invite-1').update(payload).digest().subarray(0, CHECKSUM_BYTES)
}
