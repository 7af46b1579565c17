import { peerIdFromString } from '@libp2p/peer-id'
import type { UnitRange } from '../../model/index.ts'
import { decodeSigned, decodeStatement } from '../wire/index.ts'
import type { Statement } from '../wire/index.ts'

/** What the upstream itself knows about the session. */
export interface ExpectedStatement {
  session: string
  epoch: number
  /** undefined once used */
  nonce: Uint8Array | undefined
  client: string
  upstream: string
  downstream: string
  modelId: string
  /** of the upstream */
  range: UnitRange
}

/** The confirmation does not permit this connection; the message says why. */
export class ConfirmationError extends Error {
  override readonly name = 'ConfirmationError'
}

/**
 * Checks that the downstream peer agreed to exactly this session. Nothing may
 * be dialled before it returns. Throws ConfirmationError or FrameError.
 */
export async function verifyConfirmation (record: Uint8Array, expected: ExpectedStatement): Promise<Statement> {
  const signed = decodeSigned(record)
  const statement = decodeStatement(signed.statement)
  if (expected.nonce === undefined) throw new ConfirmationError('a confirmation was used already')
  if (Buffer.compare(statement.nonce, expected.nonce) !== 0) throw new ConfirmationError('it was given for another opening of a session')
  for (const field of ['session', 'epoch', 'client', 'upstream', 'downstream', 'modelId'] as const) {
    if (statement[field] !== expected[field]) throw new ConfirmationError(`it was given for another ${field}`)
  }
  if (statement.range.from !== expected.range.to) throw new ConfirmationError(`the downstream starts at unit ${statement.range.from}, this stage ends at ${expected.range.to}`)
  // the key is read from the PeerId itself, never from the message
  const key = publicKeyOf(expected.downstream)
  if (!await key.verify(signed.statement, signed.signature)) throw new ConfirmationError('its signature is not by the downstream peer')
  return statement
}

function publicKeyOf (peerId: string): { verify (data: Uint8Array, signature: Uint8Array): boolean | Promise<boolean> } {
  let key
  try {
    key = peerIdFromString(peerId).publicKey
  } catch (error) {
    throw new ConfirmationError(`the downstream's PeerId is malformed: ${(error as Error).message}`)
  }
  if (key === undefined) throw new ConfirmationError('the downstream\'s PeerId contains no key (Ed25519 keys do)')
  return key
}
