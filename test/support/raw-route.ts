import type { RowResult } from '../../src/engine/index.ts'
import { decodeOpened, Kind } from '../../src/peer/wire/index.ts'
import type { OpenedRecord } from '../../src/peer/wire/index.ts'
import type { UnitRange } from '../../src/model/index.ts'
import type { RawLink } from './raw-link.ts'

export interface RawStage {
  peerId: string
  range: UnitRange
}

/** A session along a route, driven frame by frame as docs/protocol.md says. */
export interface RawRoute {
  readonly stages: RawStage[]
  /** a link to each stage, in order */
  readonly links: RawLink[]
  /** ids of the positions held */
  readonly ids: number[]
  readonly epoch: number
  sequence: number
  /** opens or rebinds all stages with the next epoch, and connects them */
  bind (stages: RawStage[]): Promise<OpenedRecord[]>
  /** the same, as far as `opened` */
  open (stages: RawStage[]): Promise<OpenedRecord[]>
  connect (opened: OpenedRecord[]): Promise<void>
  /** runs ids through all stages: all logits of the last one */
  step (tokens: Uint32Array, position?: number): Promise<RowResult[]>
  /** sends a step and does not wait */
  send (tokens: Uint32Array, position?: number): void
  /** stage `source` (from 1; 0: the client, from its ids) replays positions until a stage */
  replay (source: number, from: number, to: number, until: number): Promise<void>
  /** binds other stages, and replays whatever they lack */
  repair (stages: RawStage[]): Promise<OpenedRecord[]>
}

const REPLAY_ROWS = 16

export function createRawRoute (link: (stage: RawStage) => Promise<RawLink>): RawRoute {
  const known = new Map<string, RawLink>()
  let next = 0x10000

  async function linkTo (stage: RawStage): Promise<RawLink> {
    const present = known.get(stage.peerId)
    if (present !== undefined && !present.link.closed) return present
    const made = await link(stage)
    known.set(stage.peerId, made)
    return made
  }

  async function openAll (stages: RawStage[]): Promise<OpenedRecord[]> {
    state.epoch++
    route.stages.splice(0, Infinity, ...stages)
    route.links.splice(0, Infinity, ...await Promise.all(stages.map(linkTo)))
    const { links } = route
    return await Promise.all(links.map(async (link, index) => {
      link.epoch = state.epoch
      link.open({
        range: stages[index].range,
        stage: index + 1,
        stages: stages.length,
        upstream: index === 0 ? link.self : stages[index - 1].peerId,
        downstream: index === stages.length - 1 ? link.self : stages[index + 1].peerId
      })
      return decodeOpened((await link.next(Kind.opened)).record!)
    }))
  }

  const state = { epoch: 0 }
  const route: RawRoute = {
    stages: [],
    links: [],
    ids: [],
    get epoch () {
      return state.epoch
    },
    sequence: 0,
    open: openAll,
    async connect (opened) {
      const { links } = route
      for (let hop = 0; hop + 1 < links.length; hop++) {
        links[hop + 1].send({ kind: Kind.confirm, sequence: ++next, record: opened[hop].nonce })
        const confirmed = await links[hop + 1].next(Kind.confirmed)
        links[hop].send({ kind: Kind.connect, sequence: ++next, record: confirmed.record })
        await links[hop].next(Kind.done)
      }
    },
    async bind (stages) {
      const opened = await openAll(stages)
      await route.connect(opened)
      return opened
    },
    send (tokens, position = route.ids.length) {
      route.ids.length = Math.min(route.ids.length, position)
      route.links[0].send({ kind: Kind.step, sequence: ++route.sequence, position, rows: tokens.length, tokens, outputs: [{ row: tokens.length - 1, output: { kind: 'logits' } }] })
    },
    async step (tokens, position = route.ids.length) {
      route.send(tokens, position)
      const { results } = await route.links.at(-1)!.next(Kind.answer)
      for (const id of tokens) route.ids.push(id)
      return results!
    },
    async replay (source, from, to, until) {
      let chunks = 0
      for (let position = from; position < to; position += REPLAY_ROWS) {
        const rows = Math.min(REPLAY_ROWS, to - position)
        const common = { sequence: ++route.sequence, position, rows, until }
        if (source > 0) route.links[source - 1].send({ kind: Kind.replay, ...common })
        else route.links[0].send({ kind: Kind.step, ...common, tokens: Uint32Array.from(route.ids.slice(position, position + rows)) })
        // within the credits
        if (++chunks > 4) await route.links[until - 1].next(Kind.replayed)
      }
      for (let left = Math.min(chunks, 4); left > 0; left--) await route.links[until - 1].next(Kind.replayed)
    },
    async repair (stages) {
      const opened = await route.bind(stages)
      const length = route.ids.length
      const lacks = (stage: number): boolean => opened[stage - 1].held < length
      for (let first = 1; first <= stages.length; first++) {
        if (!lacks(first)) continue
        let until = first
        while (until < stages.length && lacks(until + 1)) until++
        let source = first - 1
        // whoever has to compute again may need more than the one behind it
        while (source > 0 && opened[source - 1].kept < length) source--
        await route.replay(source, Math.min(...opened.slice(source, until).map(({ held }) => held).filter(held => held < length)), length, until)
        first = until
      }
      return opened
    }
  }
  return route
}
