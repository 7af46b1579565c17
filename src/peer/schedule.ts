import { CLIENT_DECODE_ROWS, DECODE_MEMORY, PASS_ROWS, PREFILL_ROWS_BESIDE_DECODING, TILE_ROWS } from './constants.ts'

/** The next step of a session, or what is left of it. */
export interface WaitingStep {
  session: number
  /** whoever the rows are computed for: shares are equal between clients, however many sessions they have */
  client: string
  /** rows that are left */
  rows: number
  /** a step of few rows, for whose result somebody waits */
  decodes: boolean
}

export interface Grant {
  session: number
  rows: number
}

/** What the past has left behind. Plain data; `choosePass` gives the next. */
export interface ScheduleState {
  /** virtual time in rows: what each client would have got, had all that waited been served evenly */
  now: number
  /** virtual time up to which a client has been served, where it waits or that is later than now */
  clocks: ReadonlyMap<string, number>
  /** passes since one had a decode step */
  sinceDecode: number
  /** clients of the last pass */
  clients: ReadonlySet<string>
}

export const INITIAL_SCHEDULE: ScheduleState = { now: 0, clocks: new Map(), sinceDecode: Infinity, clients: new Set() }

/**
 * Chooses the rows of the next pass: the decode steps that wait, then prefill
 * rows, few of them while anybody decodes, so that a long prompt does not hold
 * up the others. Whoever has got least comes first, counted by client: virtual
 * time as in weighted fair queueing (Demers, Keshav, Shenker: Analysis and
 * simulation of a fair queueing algorithm, SIGCOMM 1989). Virtual time goes on
 * by the mean of what the waiting clients got, and nobody is more than a pass
 * ahead of it or behind it: a newcomer starts there, so that whoever waits is
 * overtaken by a bounded number of rows only.
 *
 * @param waiting one entry a session, the longest since its last turn first
 */
export function choosePass (waiting: readonly WaitingStep[], state: ScheduleState): { grants: Grant[], state: ScheduleState } {
  const clocks = new Map(waiting.map(({ client }) => [client, Math.max(state.clocks.get(client) ?? state.now, state.now - PASS_ROWS)]))
  const grants: Grant[] = []
  const served = new Set<string>()
  const grant = ({ session, client }: WaitingStep, rows: number): void => {
    grants.push({ session, rows })
    served.add(client)
    clocks.set(client, clocks.get(client)! + rows)
  }
  /** takes the step of the client that has got least out of a list; of equals the one that waits longest */
  const takeLeast = (steps: WaitingStep[]): WaitingStep => {
    const least = steps.reduce((best, step) => clocks.get(step.client)! < clocks.get(best.client)! ? step : best)
    steps.splice(steps.indexOf(least), 1)
    return least
  }

  const decoding = waiting.filter(({ decodes }) => decodes)
  const prefilling = waiting.filter(({ decodes }) => !decodes)
  const decodes = decoding.length > 0
  const contended = new Set([...clocks.keys(), ...state.clients]).size > 1
  const decodeRows = new Map<string, number>()
  let room = PASS_ROWS - (prefilling.length > 0 ? PREFILL_ROWS_BESIDE_DECODING : 0)
  while (decoding.length > 0) {
    const step = takeLeast(decoding)
    const rows = (decodeRows.get(step.client) ?? 0) + step.rows
    if (step.rows > room || (contended && rows > CLIENT_DECODE_ROWS)) continue
    decodeRows.set(step.client, rows)
    room -= step.rows
    grant(step, step.rows)
  }
  const decoded = grants.reduce((sum, { rows }) => sum + rows, 0)
  // whole tiles
  room = decodes || state.sinceDecode < DECODE_MEMORY ? PREFILL_ROWS_BESIDE_DECODING - decoded % TILE_ROWS : PASS_ROWS
  while (prefilling.length > 0 && room > 0) {
    const step = takeLeast(prefilling)
    const rows = Math.min(room, step.rows)
    room -= rows
    grant(step, rows)
  }

  const total = grants.reduce((sum, { rows }) => sum + rows, 0)
  const now = state.now + (clocks.size === 0 ? 0 : total / clocks.size)
  const ahead = [...state.clocks].filter(([client, clock]) => !clocks.has(client) && clock > now)
  return {
    grants,
    state: {
      now,
      clocks: new Map([...ahead, ...[...clocks].map(([client, clock]): [string, number] => [client, Math.min(clock, now + PASS_ROWS)])]),
      sinceDecode: decodes ? 0 : state.sinceDecode + 1,
      clients: served
    }
  }
}
