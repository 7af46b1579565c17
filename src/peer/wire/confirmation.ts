import type { UnitRange } from '../../model/index.ts'
import { MAXIMUM_ADDRESSES, MAXIMUM_PEER_ID_LENGTH, MAXIMUM_TEXT_BYTES } from '../constants.ts'
import { FrameError } from '../errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { hex, modelIdBytes, NONCE_BYTES, readRange } from './records.ts'

/** What a signature is for; separates it from all others of the same key. */
export const StatementDomain = { confirmation: 'efedllm-confirmation-1', transfer: 'efedllm-transfer-1' } as const
export type StatementDomainName = typeof StatementDomain[keyof typeof StatementDomain]

/**
 * What a peer signs: it agrees to be connected to by this other one for this
 * session. The one that is connected to is the `downstream`, also where it is
 * not a stage behind the other but gives it keys and values.
 */
export interface Statement {
  session: string
  epoch: number
  /** made by the upstream for this session */
  nonce: Uint8Array
  client: string
  upstream: string
  downstream: string
  modelId: string
  /** of the downstream; of what it gives, where it gives keys and values */
  range: UnitRange
  /** of the downstream; without `/p2p` */
  addresses: string[]
}

export function encodeStatement (statement: Statement, domain: StatementDomainName = StatementDomain.confirmation): Uint8Array {
  const writer = new ByteWriter().text(domain, domain.length, 'domain').bytes(Buffer.from(statement.session, 'hex')).u32(statement.epoch).bytes(statement.nonce)
    .text(statement.client, MAXIMUM_PEER_ID_LENGTH, 'client').text(statement.upstream, MAXIMUM_PEER_ID_LENGTH, 'upstream').text(statement.downstream, MAXIMUM_PEER_ID_LENGTH, 'downstream')
    .bytes(modelIdBytes(statement.modelId)).u16(statement.range.from).u16(statement.range.to)
  return writeAddresses(writer, statement.addresses).finish()
}

export function decodeStatement (bytes: Uint8Array, domain: StatementDomainName = StatementDomain.confirmation): Statement {
  const reader = new ByteReader(bytes)
  if (reader.text(MAXIMUM_TEXT_BYTES, 'domain') !== domain) throw new FrameError('domain', 'is another one')
  const statement = {
    session: hex(reader.bytes(16, 'session')),
    epoch: reader.u32('epoch'),
    nonce: reader.bytes(NONCE_BYTES, 'nonce').slice(),
    client: reader.text(MAXIMUM_PEER_ID_LENGTH, 'client'),
    upstream: reader.text(MAXIMUM_PEER_ID_LENGTH, 'upstream'),
    downstream: reader.text(MAXIMUM_PEER_ID_LENGTH, 'downstream'),
    modelId: hex(reader.bytes(32, 'modelId')),
    range: readRange(reader),
    addresses: readAddresses(reader)
  }
  reader.end('statement')
  return statement
}

export function writeAddresses (writer: ByteWriter, addresses: string[]): ByteWriter {
  const few = addresses.slice(0, MAXIMUM_ADDRESSES)
  writer.u8(few.length)
  for (const address of few) writer.text(address, MAXIMUM_TEXT_BYTES, 'address')
  return writer
}

export function readAddresses (reader: ByteReader): string[] {
  const count = reader.u8('addresses')
  if (count > MAXIMUM_ADDRESSES) throw new FrameError('addresses', `are ${count}, ${MAXIMUM_ADDRESSES} are allowed`)
  const addresses: string[] = []
  for (let index = 0; index < count; index++) addresses.push(reader.text(MAXIMUM_TEXT_BYTES, 'address'))
  return addresses
}
