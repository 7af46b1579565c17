/** Ids, limits and time-outs of the peer protocols, each with its reason. */
import type { Deadlines, PeerLimits } from './types.ts'

export const INFO_PROTOCOL = '/efedllm/info/1.1.0'
export const STAGE_PROTOCOL = '/efedllm/stage/2.1.0'
/** What a peer speaks, the best first: 2.0.0 is 2.1.0 without the moving of keys and values, which nobody is asked for who does not know it. */
export const STAGE_PROTOCOLS = [STAGE_PROTOCOL, '/efedllm/stage/2.0.0']

/** For people only; compatibility is decided by protocol ids and modelId. */
export const SOFTWARE = 'efedllm/0.1.0'

/** A record of the info protocol: a manifest of 512 KiB and some text. */
export const MAXIMUM_INFO_BYTES = 1 << 20

/** Ranges that a peer hosts at once: an old and a new one while it moves, and a move that begins before the last is over. */
export const MAXIMUM_HOSTED_RANGES = 4

/** 64 hex digits a unit: room for 4,000 units, ten times the deepest model known. */
export const MAXIMUM_MANIFEST_BYTES = 512 << 10

/**
 * Largest frame a client or forwarding stage takes: all logits of one row of a
 * vocabulary of 4 million, or 256 rows of hidden size 16,384.
 */
export const MAXIMUM_FRAME_BYTES = 16 << 20

/** Output requests of one frame: 60 rows that score 4,096 ids each. */
export const MAXIMUM_OUTPUT_BYTES = 1 << 20

/** Header, spans and padding of a frame, with room to spare. */
export const SMALL_FRAME_BYTES = 64 << 10

/** Answers are cut here, so that one session's logits do not hold up the others on the stream. */
export const ANSWER_FRAME_BYTES = 1 << 20

/** Results of one step: a client cuts a step that asks for more, a stage refuses it. Holds all logits of one row of any vocabulary that fits a frame. */
export const MAXIMUM_ANSWER_BYTES = MAXIMUM_FRAME_BYTES - SMALL_FRAME_BYTES

/** Stages of a route: one per unit of the deepest models; bounds the spans of a frame. */
export const MAXIMUM_STAGES = 512

/** Rows of one step frame a stage may ever grant. */
export const MAXIMUM_ROWS = 4096

/** `top` wants at most this many logits a row; sampling that needs more asks for all logits. */
export const MAXIMUM_TOP = 4096

/** `score` takes at most this many ids a row. */
export const MAXIMUM_SCORE = 4096

/** PeerIds of Ed25519 keys have 52 characters, of RSA keys 46. */
export const MAXIMUM_PEER_ID_LENGTH = 128

export const MAXIMUM_TEXT_BYTES = 512
export const MAXIMUM_MESSAGE_BYTES = 1024
export const MAXIMUM_STATEMENT_BYTES = 4096
/** RSA-4096 signatures have 512 bytes, Ed25519 ones 64. */
export const MAXIMUM_SIGNATURE_BYTES = 1024
/** A peer on a machine with many interfaces names its first ones. */
export const MAXIMUM_ADDRESSES = 8
/** Of these an upstream tries at most so many: each may cost a packet to a machine that is not the peer. */
export const MAXIMUM_DIALLED_ADDRESSES = 4

/** Largest deadline a frame can ask for: longer work is cut in steps. */
export const MAXIMUM_STEP_MILLISECONDS = 3_600_000

/** A stage drops a session that is not complete by then; also the life of a nonce. */
export const MAXIMUM_OPEN_MILLISECONDS = 30_000

/**
 * A stage that has lost a neighbour keeps the session that long for its client to bind it anew; longer than a client
 * waits for somebody to take the place of a lost stage (30 s), with as much again for what else goes wrong.
 */
export const REBIND_MILLISECONDS = 60_000

/** A repair takes a second or so: who has not bound a session anew by then may have to begin it again, if others want the room. */
export const SUSPENDED_EVICT_MILLISECONDS = 10_000

/** Who opens a session to use it sends its first step at once; one that was never used holds nothing that others would miss. */
export const UNUSED_EVICT_MILLISECONDS = 10_000

/** How long a peer that drains waits for clients to move their sessions. */
export const DRAIN_MILLISECONDS = 30_000

/**
 * Keys and values that one stage asks another for at once. They are copied on the thread of the event loop, a megabyte in
 * two or three milliseconds: a piece is not to be noticed by sessions beside it.
 */
export const PIECE_BYTES = 256 << 10
/** One position of the largest models is larger than that (of 128 layers with 16 KV heads of 128 elements, half a megabyte); nobody has to give or take more at once. */
export const MAXIMUM_PIECE_BYTES = 2 << 20
/** Pieces that are asked for ahead: 2 MiB on the way fill a gigabit line over 16 ms. */
export const PIECES_UNDER_WAY = 8

/** Positions whose keys and values the first piece is measured with, and those that are computed meanwhile: enough for the matrix kernels. */
export const TRIAL_ROWS = 32
/** Four pieces: the rate of a link shows between the first and the last one. */
export const TRIAL_BYTES = 1 << 20
/** What is shorter is replayed without a question: to connect two peers takes as long as some chunks. */
export const LEAST_MOVED_POSITIONS = 256
/** A transfer that has been overtaken by what a replay would have taken is given up this much later. */
export const TRANSFER_GRACE_MILLISECONDS = 1_000
/** The trial of a transfer, beside the replay that it goes with: time to connect, and for its first megabyte. */
export const TRIAL_PATIENCE_MILLISECONDS = 5_000

/** Yamux: a window of 4 MiB holds a chunk of 64 rows of hidden size 16,384. */
export const STREAM_WINDOW_BYTES = 4 << 20
/** Yamux: a multiple of the window, since a paused stream is reset beyond this. */
export const READ_BUFFER_BYTES = 16 << 20
/** Yamux: a bug turns into an error, not into an out-of-memory kill. */
export const WRITE_BUFFER_BYTES = 64 << 20

/** What may wait in front of one stream before it is reset: its reader has stopped. */
export const LINK_QUEUE_BYTES = 48 << 20
/** Above this a stage runs no more steps whose results go to the stream. */
export const LINK_HIGH_WATER_BYTES = 2 << 20

/**
 * Who has read nothing for so long, while something waits for it, has stopped; no step is waited for longer. Whoever is
 * in the midst of its work is probed and found out much sooner.
 */
export const LINK_STALL_MILLISECONDS = 60_000

/** Streams of one peer: one for each direction, and a few that are just being replaced. */
export const MAXIMUM_INBOUND_STREAMS = 8
/** Streams of the stage protocol of one peer, over all its connections. */
export const MAXIMUM_LINKS_PER_PEER = 16
/** Info streams of one peer at once. */
export const MAXIMUM_INFO_STREAMS = 4

/** A stage keeps a closed session that long for the next one that begins alike: a person's pause between two prompts. */
export const KEEP_MILLISECONDS = 5 * 60_000

/** A stream without sessions is kept that long for the next session; what a stage keeps for a client ends with it. */
export const LINK_LINGER_MILLISECONDS = KEEP_MILLISECONDS

/**
 * Positions that a name of a prefix stands for: a tile of the KV cache. Shorter ones would find more, but a session's
 * names are half a byte a position as it is.
 */
export const PREFIX_STRIDE = 32

/** A name is compared only with those of the same client, who alone could find two that are equal. */
export const PREFIX_NAME_BYTES = 16

/** Names of one session: 131,072 positions, the longest context of the models we read. */
export const MAXIMUM_PREFIX_NAMES = 4096

/**
 * Rows of a pass: what the engine takes through the weights at once. More would only run one after another, and hold up
 * whoever comes meanwhile.
 */
export const PASS_ROWS = 64

/** Steps of at most this many rows are decoding: a token, or a draft that somebody waits to see confirmed. */
export const DECODE_ROWS = 8

/**
 * Prefill rows of a pass while anybody decodes. The matrix kernels do as many products a second with 16 rows as with 64,
 * so prompts lose little, and a decoded token waits for a quarter of the rows.
 */
export const PREFILL_ROWS_BESIDE_DECODING = 16

/** Matrix kernels take rows in tiles of so many; what is left over costs as much as a whole tile, or more. */
export const TILE_ROWS = 8

/**
 * Decode rows of one client in a pass while others want something too. With 8 rows the kernels have reached their full
 * rate: more of them would make the others wait longer and gain nothing.
 */
export const CLIENT_DECODE_ROWS = 8

/** After so many passes without a decode step nobody decodes: an answer has been to its client and back by then. */
export const DECODE_MEMORY = 4

/**
 * Before a pass the queue waits for the decoding sessions of the last one, whose next tokens are on their way, for this
 * share of the time that pass took: together they cost little more than alone. Eight sessions through one peer with one
 * thread got 106 tokens a second without, 142 with a sixteenth.
 */
export const GATHER_SHARE = 1 / 8

/** And no longer than that: who needs more is not waited for again until it comes in time by itself. */
export const GATHER_MILLISECONDS = 8

/** Sessions that are remembered for being late; more than decode at once. */
export const MAXIMUM_LATE_SESSIONS = 256

/** Default rows of a prefill chunk: enough for the matrix kernels, short enough to pipeline. */
export const CHUNK_ROWS = 64

/** A client that waits for an answer asks all stages for a sign of life this often. */
export const PROBE_INTERVAL_MILLISECONDS = 500
/** Event loops of stages never stall for long, so a stage this silent is lost. */
export const PROBE_TIMEOUT_MILLISECONDS = 3_000

/** The share of the client's deadline that is granted to the stages; the rest is for their error to arrive. */
export const STAGE_SHARE_OF_DEADLINE = 0.9

/** Truncation and cancellation are bookkeeping only. */
export const CONTROL_MILLISECONDS = 5_000

/** Nor does a stage compute anything to open a session: one that is silent for as long as unanswered probes are allowed to be is lost. */
export const OPEN_REPLY_MILLISECONDS = PROBE_TIMEOUT_MILLISECONDS

/** Dialling, for a client or for a stage that connects to the next one: an address that drops packets answers no sooner. */
export const CONNECT_MILLISECONDS = 5_000

/** A step that takes this many times as long as the slowest of late has not merely met a busy stage. */
export const STALL_FACTOR = 20

/** A client takes the time of its steps for the choice of routes no more often than that: it changes slowly, and decoding is not to wait for it. */
export const MEASURE_INTERVAL_MILLISECONDS = 50

/** What a step that waits at a peer costs whoever comes behind it, as long as nothing was measured there. */
export const UNMEASURED_STEP_SECONDS = 0.001

/** How fast the memory of a slow step fades: half of it is gone after seven steps. */
export const STALL_MEMORY = 0.9

/** A peer that failed is left alone for so long by the session it failed, twice as long after each further time; it may have been a link that was cut. */
export const REST_MILLISECONDS = 500
export const MAXIMUM_REST_MILLISECONDS = 8_000

/** Once peers that together host everything have answered, the others get so much longer: they may be faster, or frozen. */
export const GATHER_INFO_MILLISECONDS = 300

/** Who waits for a unit to be hosted asks again this often; announcements come sooner by themselves. */
export const ASK_AGAIN_MILLISECONDS = 1_000

/** Peers that have been stages of a session, which it tries again where nobody else hosts a unit; more than those would be long gone. Routes with more stages remember the last ones. */
export const MAXIMUM_FORMER_STAGES = 64

/** A step that fails at one peer after another for the engine's sake would fail anywhere. */
export const MAXIMUM_STEP_FAILURES = 2

/** Outputs of the client's own stages that a session keeps, for a stage behind them that has to be replaced: 8,192 positions of hidden size 8,192. Beyond that they are computed again. */
export const CLIENT_KEPT_BYTES = 256 << 20

/** Time for streams to flush what has been sent when the node stops. */
export const STOP_MILLISECONDS = 1_000

/** Peers of `join` are tried again this often. */
export const JOIN_INTERVAL_MILLISECONDS = 15_000

/** Ports below are services of the operating system; no peer of ours needs one, and nobody should be made to knock there. */
export const LOWEST_DIALLED_PORT = 1024

/**
 * libp2p takes 5 inbound connections a second from one host by default; all
 * peers of one machine, or of one home network, are one host.
 */
export const INBOUND_CONNECTIONS_PER_SECOND = 100
/**
 * Connections whose other side has not proved who it is. libp2p's default of 10 is too few for a swarm that starts at
 * once on one machine; beyond this number the host that has most of them loses its oldest.
 */
export const PENDING_INBOUND_CONNECTIONS = 100

/** As libp2p has it: a peer of a large swarm needs its neighbours, its clients and the stages beside it. Beyond this number the least used one of the host that has most is closed. */
export const MAXIMUM_CONNECTIONS = 300

/**
 * Where libp2p itself refuses whoever comes: never, as long as ours are kept to their numbers. It would keep those that
 * are there, and so whoever came first in great number.
 */
export const LIBP2P_PENDING_CONNECTIONS = 2 * PENDING_INBOUND_CONNECTIONS
export const LIBP2P_CONNECTIONS = MAXIMUM_CONNECTIONS + LIBP2P_PENDING_CONNECTIONS

/** Yamux's default is 1,000. Protocols have far lower limits of their own; the rest is for a relay, which opens one for each connection that goes through it. */
export const MAXIMUM_STREAMS_PER_CONNECTION = 400

/** One address of a peer: the next ones are tried after it. TCP and noise take four round trips, but a machine on which fifty peers start at once needs seconds for a handshake. */
export const ADDRESS_DIAL_MILLISECONDS = 6_000

/** A relayed connection becomes a direct one within a few round trips, or not at all. */
export const HOLE_PUNCH_MILLISECONDS = 3_000

export const DEFAULT_LIMITS: PeerLimits = {
  sessions: 64,
  sessionsPerClient: 16,
  rowsPerStep: 256,
  window: 8,
  contextLength: 131_072,
  queuedBytesPerClient: 64 << 20,
  queuedBytes: 256 << 20,
  framesPerSecond: 20_000,
  // 4,096 positions of hidden size 4,096 are 64 MiB: four long sessions in memory, and thirty on disk
  keptBytes: 256 << 20,
  keptDiskBytes: 2 ** 31,
  // what arrives while its session still computes the positions before it; beyond that the other side waits
  takenBytes: 128 << 20,
  // half of a gigabit line in all, half of that for one: sessions need the rest, and the processor
  sharedBytesPerSecond: 64 << 20,
  sharedBytesPerSecondAndPeer: 32 << 20,
  sessionIdleMilliseconds: 15 * 60_000,
  // who generates text sends a step every few seconds at the slowest; who reads it for a minute can wait for a prefill
  evictIdleMilliseconds: 60_000,
  // a few system prompts and conversations; more of one client would only drive out those of others
  keptSessionsPerClient: 8,
  dialsPerClientAndMinute: 16
}

export const DEFAULT_DEADLINES: Deadlines = {
  info: 8_000,
  open: 15_000,
  step: 60_000,
  stall: 5_000,
  repair: 30_000
}
