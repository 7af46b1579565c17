/** Ids, limits and times of the directory, each with its reason. */

export const DIRECTORY_PROTOCOL = '/efedllm/directory/1.0.0'

/** One topic for each model; announcements of other models never reach a peer. */
export const TOPIC_PREFIX = '/efedllm/announce/1/'

export const DHT_PROTOCOL = '/efedllm/kad/1.0.0'

/** A record with eight addresses has some 800 bytes. Larger ones only cost everybody. */
export const MAXIMUM_RECORD_BYTES = 2048

/** Smaller ones are no records, whatever is in them: nothing more is done about them. */
export const LEAST_RECORD_BYTES = 192

/** An IPv6 address through a relay, with two peer ids, has 170 bytes. */
export const MAXIMUM_ADDRESS_BYTES = 256

/** Names a claim; chosen by the peer. */
export const MAXIMUM_CLAIM_ID_BYTES = 64

/** A peer that says nothing for so long is gone. Three announcements: two may be lost. */
export const LIFE_MILLISECONDS = 15_000

/** At 50 peers this is ten messages a second, over each of the few links of the mesh; see scripts/bench-directory.ts. */
export const ANNOUNCE_MILLISECONDS = 5_000

/** Changes that come together are announced once, and so are new neighbours of a node that joins many. */
export const ANNOUNCE_PAUSE_MILLISECONDS = 500

/** At further neighbours, though, no more often than that: in a swarm that starts they come one after another, and every announcement goes to everybody. */
export const NEIGHBOUR_PAUSE_MILLISECONDS = 2_000

/** Clocks of two machines may differ by so much: those kept by NTP differ by less than a second, those set by hand by more than this. */
export const CLOCK_SKEW_MILLISECONDS = 30_000

/** Announcements of one peer: so many at once, and so many a second after that. Honest ones come every five seconds and at changes. */
export const ANNOUNCEMENTS_AT_ONCE = 8
export const ANNOUNCEMENTS_PER_SECOND = 2

/** Peers that a directory holds: at their largest 4 MiB of records. */
export const MAXIMUM_RECORDS = 2048

/** Sequence numbers are remembered for an hour, of so many peers at most: records older than 45 s fail by their time alone. */
export const SEQUENCE_MEMORY_MILLISECONDS = 60 * 60_000
export const MAXIMUM_SEQUENCES = 8192

/** A suspected peer is out for so long, and twice as long each time it is suspected again; no longer than a client waits for somebody to host a unit, since it may be the only one, with a link that is cut now and then. */
export const SUSPECT_MILLISECONDS = 5_000
export const MAXIMUM_SUSPECT_MILLISECONDS = 20_000
/** Suspicions are forgotten after so long without another one. */
export const SUSPECT_MEMORY_MILLISECONDS = 10 * 60_000
/** Peers that are remembered for suspicions. */
export const MAXIMUM_SUSPECTS = 1024

/** Models that one node follows; a node hosts one, a gateway some. */
export const MAXIMUM_MODELS = 16

/** An answer of the directory protocol: 1,500 records of usual size. More peers than that are given as a random choice of them. */
export const MAXIMUM_ANSWER_BYTES = 512 << 10
/** A question with an announcement in it. */
export const MAXIMUM_REQUEST_BYTES = 36 + MAXIMUM_RECORD_BYTES

/** Streams of one peer: a question about records, and one about reachability. */
export const MAXIMUM_DIRECTORY_STREAMS = 4
/** A question is answered from memory. */
export const ASK_MILLISECONDS = 5_000
/** Questions of one peer: so many at once, and one a second after that. */
export const QUESTIONS_AT_ONCE = 10
export const QUESTIONS_PER_SECOND = 1
/** Peers whose questions are counted; beyond it, the longest silent one is forgotten. */
export const MAXIMUM_ASKERS = 1024

/** Connected peers that `refresh` asks at once: one may be behind, three hardly are. */
export const REFRESH_PEERS = 3
/** Signatures that are checked in one go: at 0.1 ms each, the event loop is held up by 3 ms. */
export const SIGNATURES_AT_ONCE = 32
/** Records of one answer: as many as a directory holds. */
export const MAXIMUM_ANSWERED_RECORDS = MAXIMUM_RECORDS

/** Ports that a peer asks to be dialled back at: what it listens on, and what is forwarded to it. */
export const MAXIMUM_PORTS = 4

/** Addresses of an invite: some of them may be gone when it is used. */
export const MAXIMUM_INVITE_ADDRESSES = 8
/** Eight addresses of the largest size, in base 58. */
export const MAXIMUM_INVITE_CHARACTERS = 4096

/** Good neighbours that a peer writes down: of so many, some are there after a weekend. */
export const MAXIMUM_REMEMBERED = 64
export const REMEMBER_MILLISECONDS = 30 * 24 * 60 * 60_000
/** When a neighbour was last seen is noted this often: the file need not be written for every announcement. */
export const REMEMBER_AGAIN_MILLISECONDS = 10 * 60_000
export const MAXIMUM_REMEMBERED_FAILURES = 16
export const MAXIMUM_REMEMBERED_BYTES = 1 << 20
/** The list is written this often at most, and when the node stops. */
export const WRITE_REMEMBERED_MILLISECONDS = 10_000

/** Neighbours of the same model that a node wants: with six drawn at random, a swarm holds together when half of it dies at once. */
export const WANTED_NEIGHBOURS = 6
/** So many it wants at once; the others one or two at a time, as others come in. */
export const LEAST_NEIGHBOURS = 2
/** How often a node looks whether it has them. */
export const FIND_MILLISECONDS = 5_000
/** Dials of the finder that are under way at once: in a swarm that starts, others come in meanwhile, and a handshake costs both sides. */
export const DIALS_AT_ONCE = 2
/** A peer that could not be reached is tried again after so long, and twice as long each time. */
export const DIAL_BACKOFF_MILLISECONDS = 2_000
export const MAXIMUM_DIAL_BACKOFF_MILLISECONDS = 5 * 60_000
/** A dial of the finder, over all addresses of a peer. */
export const DIAL_MILLISECONDS = 12_000
/** Addresses to join are tried again so soon while nobody at all is connected, or up to twice as late, drawn at random: those who were turned away together do not come together again. */
export const ALONE_MILLISECONDS = 4_000
/** Peers that mDNS and the DHT have named. */
export const MAXIMUM_NAMED_PEERS = 256
/** The DHT is asked after so long, and twice as long each time, while neighbours are wanted that nobody else knows. */
export const DHT_PAUSE_MILLISECONDS = 4_000
export const MAXIMUM_DHT_PAUSE_MILLISECONDS = 5 * 60_000
export const DHT_FIND_MILLISECONDS = 15_000
/** A peer of the DHT that has just been met is in its table by then. */
export const DHT_MET_MILLISECONDS = 500
/** Who knows others of its model already does not hurry to be found through the DHT: in a swarm that starts, everybody would connect to everybody. Up to twice as long, drawn at random. */
export const DHT_FIRST_PROVIDE_MILLISECONDS = 60_000
/** For the same reason a node looks who is close to it in the DHT only after so long, up to twice as long. */
export const DHT_SELF_MILLISECONDS = 60_000
/** Each question is taken to the eight nodes that are closest to its answer, and all peers of a model provide the same: more would only be more connections. Kademlia's 20, over ten paths at once, are for networks of strangers. */
export const DHT_SIZE = { kBucketSize: 8, alpha: 3, disjointPaths: 2 }
/** Provider records live for 48 hours; a node that has lost sight of those who keep its record gives it anew. */
export const DHT_PROVIDE_MILLISECONDS = 30 * 60_000
/** Everybody answers every question of mDNS to everybody: asked seldom, since the first question finds all who are there. */
export const MDNS_MILLISECONDS = 30_000

/**
 * The mesh of gossipsub. An announcement crosses each link of the mesh about once, so fewer links than its default of six
 * cost less; lost ones are found by what the heartbeat gossips, and by asking.
 */
export const GOSSIP_MESH = { D: 3, Dlo: 2, Dhi: 5, Dscore: 1, Dout: 1, Dlazy: 2, floodPublish: false }
/** Longer than an announcement is of any use. */
export const GOSSIP_SEEN_MILLISECONDS = 60_000
/** One message of gossipsub: announcements that were asked for come together. Larger ones end the stream. */
export const GOSSIP_DATA_BYTES = 512 << 10
/** What may wait for a neighbour that does not read, before its stream is reset. */
export const GOSSIP_OUTBOUND_BYTES = 4 << 20
/** Bytes of one neighbour: two thousand peers announce 160 KiB a second between them. */
export const GOSSIP_BYTES_PER_SECOND = 1 << 20
export const GOSSIP_BYTES_AT_ONCE = 4 << 20
/** Topics of one neighbour: gossipsub counts a KiB each beside its name. */
export const GOSSIP_TOPIC_BYTES = 64 << 10
export const MAXIMUM_GOSSIP_STREAMS = 2
/** In one message of gossipsub. */
export const MAXIMUM_GOSSIP_SUBSCRIPTIONS = 32
export const MAXIMUM_GOSSIP_MESSAGES = 1024
export const MAXIMUM_GOSSIP_IDS = 4096
export const MAXIMUM_GOSSIP_CONTROL = 64
/** Announcements of one neighbour, its own and those it passes on. */
export const GOSSIP_MESSAGES_PER_SECOND = 500
export const GOSSIP_MESSAGES_AT_ONCE = 2_000

/** A dial back, for each port. */
export const DIAL_BACK_MILLISECONDS = 3_000
/** One peer is dialled back this often at most. */
export const DIAL_BACK_PAUSE_MILLISECONDS = 10_000
export const DIAL_BACKS_AT_ONCE = 8

/** Expired records are looked for this often; `records` itself never gives one. */
export const SWEEP_MILLISECONDS = 1_000
/** A record so old has missed an announcement: a neighbour is asked whether it has a newer one. */
export const OVERDUE_MILLISECONDS = 8_000
/** A new connection is asked for records, but the same peer not again and again. */
export const ASK_PAUSE_MILLISECONDS = 5_000
/** A peer whose connection ended is dialled once to see whether it lives; not again for so long. */
export const PROBE_PAUSE_MILLISECONDS = 30_000

/** Peers that are asked to dial back: one may have a firewall of its own. */
export const REACHABILITY_PEERS = 3
/** The first neighbours are there by then. */
export const REACHABILITY_FIRST_MILLISECONDS = 5_000
/** Routers are switched off and on, and machines carried about. */
export const REACHABILITY_MILLISECONDS = 10 * 60_000
export const REACHABILITY_AGAIN_MILLISECONDS = 60_000
/** Four ports, one after the other, and the question. */
export const ASK_DIAL_BACK_MILLISECONDS = MAXIMUM_PORTS * DIAL_BACK_MILLISECONDS + 3_000
/** One peer is asked, and then perhaps others. */
export const REACHABILITY_CHECK_MILLISECONDS = 2 * ASK_DIAL_BACK_MILLISECONDS

/** Of circuit relay v2. */
export const RELAY_HOP_PROTOCOL = '/libp2p/circuit/relay/0.2.0/hop'
/** Places at a relay of ours; libp2p's default of 15 is for strangers. */
export const RELAY_RESERVATIONS = 128

/** Entries of each kind that libp2p keeps of what others tell it: peers, and records of the DHT. */
export const MAXIMUM_STORED_ENTRIES = 8192
/** Connections of one peer: one in each direction, one that is being replaced, and a dial back. */
export const MAXIMUM_CONNECTIONS_PER_PEER = 4
