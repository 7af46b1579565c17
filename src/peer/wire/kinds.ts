/** Numbers of docs/protocol.md. */
export const FRAME_VERSION = 1
export const HEADER_BYTES = 64

export const Kind = {
  open: 1,
  opened: 2,
  confirm: 3,
  confirmed: 4,
  connect: 5,
  attach: 6,
  done: 7,
  step: 8,
  answer: 9,
  truncate: 10,
  cancel: 11,
  close: 12,
  probe: 13,
  probed: 14,
  error: 15,
  name: 16,
  replay: 17,
  replayed: 18,
  leaving: 19,
  give: 20,
  take: 21,
  taken: 22,
  fetch: 23,
  keyValues: 24
} as const
export type KindNumber = typeof Kind[keyof typeof Kind]
export const HIGHEST_KIND = 24

export const Payload = { none: 0, tokens: 1, hidden: 2, results: 3, record: 4 } as const
export type PayloadNumber = typeof Payload[keyof typeof Payload]
export const HIGHEST_PAYLOAD = 4

/** What each kind may carry. */
export const PAYLOADS: Record<KindNumber, readonly PayloadNumber[]> = {
  [Kind.open]: [Payload.record],
  [Kind.opened]: [Payload.record],
  [Kind.confirm]: [Payload.record],
  [Kind.confirmed]: [Payload.record],
  [Kind.connect]: [Payload.record],
  [Kind.attach]: [Payload.none],
  [Kind.done]: [Payload.none],
  [Kind.step]: [Payload.tokens, Payload.hidden],
  [Kind.answer]: [Payload.none, Payload.hidden, Payload.results],
  [Kind.truncate]: [Payload.none],
  [Kind.cancel]: [Payload.none],
  [Kind.close]: [Payload.none],
  [Kind.probe]: [Payload.none],
  [Kind.probed]: [Payload.record],
  [Kind.error]: [Payload.record],
  [Kind.name]: [Payload.record],
  [Kind.replay]: [Payload.none],
  [Kind.replayed]: [Payload.none],
  [Kind.leaving]: [Payload.record],
  [Kind.give]: [Payload.record],
  [Kind.take]: [Payload.record],
  [Kind.taken]: [Payload.record],
  [Kind.fetch]: [Payload.none],
  [Kind.keyValues]: [Payload.record]
}

export const FLAG_MORE = 1

export const OutputKind = { top: 1, logits: 2, score: 3 } as const

export const ErrorCode = {
  model: 1,
  range: 2,
  busy: 3,
  unknownSession: 4,
  confirmation: 5,
  dial: 6,
  peerLost: 7,
  stalled: 8,
  engine: 9,
  invalidStep: 10,
  credit: 11,
  expired: 12,
  notServing: 13,
  stopping: 14,
  capacity: 15,
  version: 16,
  evicted: 17,
  draining: 18,
  historyLost: 19,
  transfer: 20
} as const
export type ErrorNumber = typeof ErrorCode[keyof typeof ErrorCode]
export const HIGHEST_ERROR_CODE = 20
