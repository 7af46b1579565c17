import { peerIdFromString } from '@libp2p/peer-id'
import { sameRange } from '../../engine/index.ts'
import type { UnitRange } from '../../model/index.ts'
import { decodeSigned, decodeStatement, StatementDomain } from '../wire/index.ts'
import type { SignedStatement, Statement, StatementDomainName } from '../wire/index.ts'

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
  return await verify(decodeSigned(record), StatementDomain.confirmation, expected, ({ range: { from } }) => {
    if (from !== expected.range.to) throw new ConfirmationError(`the downstream starts at unit ${from}, this stage ends at ${expected.range.to}`)
  })
}

/**
 * Checks that a peer, as the `downstream`, agreed to give this one the keys and
 * values of its whole range in exactly this session. Nothing may be dialled
 * before it returns. Throws ConfirmationError or FrameError.
 */
export async function verifyTransfer (signed: SignedStatement, expected: Omit<ExpectedStatement, 'downstream'>): Promise<Statement> {
  const { downstream } = decodeStatement(signed.statement, StatementDomain.transfer)
  if (downstream === expected.upstream) throw new ConfirmationError('nobody takes from itself')
  return await verify(signed, StatementDomain.transfer, { ...expected, downstream }, ({ range }) => {
    if (!sameRange(range, expected.range)) throw new ConfirmationError(`it gives units ${range.from}:${range.to}, this stage runs ${expected.range.from}:${expected.range.to}`)
  })
}

async function verify (signed: SignedStatement, domain: StatementDomainName, expected: ExpectedStatement, checkRange: (statement: Statement) => void): Promise<Statement> {
  const statement = decodeStatement(signed.statement, domain)
  if (expected.nonce === undefined) throw new ConfirmationError('a confirmation was used already')
  if (Buffer.compare(statement.nonce, expected.nonce) !== 0) throw new ConfirmationError('it was given for another opening of a session')
  for (const field of ['session', 'epoch', 'client', 'upstream', 'downstream', 'modelId'] as const) {
    if (statement[field] !== expected[field]) throw new ConfirmationError(`it was given for another ${field}`)
  }
  checkRange(statement)
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
