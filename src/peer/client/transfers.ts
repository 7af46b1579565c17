import { CONTROL_MILLISECONDS, MAXIMUM_STEP_MILLISECONDS, OPEN_REPLY_MILLISECONDS } from '../constants.ts'
import { PeerError } from '../errors.ts'
import { decodeSigned, decodeTaken, encodeGive, encodeTake, Kind } from '../wire/index.ts'
import type { SignedStatement, TakenRecord } from '../wire/index.ts'
import type { Heir } from './plan-heirs.ts'
import type { RemoteStage } from './remote-stage.ts'

/** Keys and values did not come; what they are of can be replayed. */
export class TransferError extends PeerError {
  constructor (message: string, cause?: unknown) {
    super('TransferError', 'ERR_TRANSFER', message, { retryable: true, cause })
  }
}

export type Taken = TakenRecord

export interface TransfersInit {
  /** of the new route */
  epoch: number
  find: (peerId: string) => RemoteStage | undefined
  /** of the opening of the stage with this number */
  nonceOf: (stage: number) => Uint8Array | undefined
  nextSequence: () => number
  /** a peer holds positions up to `to` that it has not computed */
  onHanded: (peerId: string, to: number) => void
}

/** Has stages take over keys and values from those that leave (docs/protocol.md, Moving keys and values). */
export interface Transfers extends Pick<TransfersInit, 'onHanded'> {
  /** whether all who take part can do it */
  able (heirs: readonly Heir[]): boolean
  /**
   * Resolves when all heirs hold the positions [from, to); each begins to write them when it holds those before. After
   * an error nothing is on its way any more. Throws TransferError, and for an heir that does not answer StageLostError.
   */
  take (heirs: readonly Heir[], from: number, to: number, options: { signal: AbortSignal }): Promise<Taken[]>
}

export function createTransfers ({ epoch, find, nonceOf, nextSequence, onHanded }: TransfersInit): Transfers {
  /** what givers have signed, by the PeerIds of their heirs */
  const agreements = new Map<string, SignedStatement>()

  async function agree ({ peerId, giver, stage }: Heir): Promise<SignedStatement> {
    const present = agreements.get(peerId)
    if (present !== undefined) return present
    const record = encodeGive({ nonce: nonceOf(stage)!, epoch, heir: peerId, range: find(peerId)!.place.range })
    const agreement = decodeSigned((await find(giver)!.request({ kind: Kind.give, record }, Kind.confirmed, OPEN_REPLY_MILLISECONDS)).record!)
    agreements.set(peerId, agreement)
    return agreement
  }

  async function takeOne (heir: Heir, from: number, to: number, over: Promise<never>): Promise<Taken> {
    const remote = find(heir.peerId)!
    const agreement = await Promise.race([agree(heir), over])
    const record = encodeTake({ to, ...agreement })
    const taken = remote.request({ kind: Kind.take, position: from, record, deadline: MAXIMUM_STEP_MILLISECONDS }, Kind.taken, MAXIMUM_STEP_MILLISECONDS)
    taken.catch(() => {})
    return decodeTaken((await Promise.race([taken, over])).record!)
  }

  return {
    onHanded,
    able: heirs => heirs.every(({ peerId, giver, stage }) => [peerId, giver].every(id => find(id)?.movesKeyValues === true && find(id)!.lost === undefined) && nonceOf(stage) !== undefined),
    async take (heirs, from, to, { signal }) {
      const over = Promise.withResolvers<never>()
      over.promise.catch(() => {})
      const onAbort = (): void => over.reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      // one that fails ends the others: their positions are replayed together
      const outcomes = await Promise.allSettled(heirs.map(async heir => {
        try {
          return await takeOne(heir, from, to, over.promise)
        } catch (error) {
          over.reject(error as Error)
          throw error
        }
      }))
      signal.removeEventListener('abort', onAbort)
      const failed = outcomes.find(outcome => outcome.status === 'rejected')
      if (failed === undefined) return outcomes.map(outcome => (outcome as PromiseFulfilledResult<Taken>).value)
      await Promise.all(heirs.map(async ({ peerId }) => {
        const heir = find(peerId)
        if (heir?.lost === undefined) await heir?.request({ kind: Kind.cancel }, Kind.done, CONTROL_MILLISECONDS, nextSequence())
      }))
      const { message } = failed.reason as Error
      throw new TransferError(`keys and values were not moved: ${message}`, failed.reason)
    }
  }
}
