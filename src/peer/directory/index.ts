/**
 * Finding and announcing: signed records of who hosts what, how peers find each
 * other, and who may take part. docs/protocol.md describes the wire,
 * docs/swarm.md what it is for.
 */
export type { AnnouncedState, Clock, Directory, PeerRecord, RangeClaim, Verdict } from './types.ts'
export { DirectoryBusyError, InvalidInviteError, InvalidPeerIdError, NetworkKeyError } from './errors.ts'
export { decodeInvite, encodeInvite, isInvite } from './invite.ts'
export type { Invite } from './invite.ts'
export { inviteAddresses } from './invite-addresses.ts'
export { rememberedAddresses } from './remembered-file.ts'
export { canonicalPeerId, parseAllowList } from './allow-list.ts'
export { createNetworkKey, formatNetworkKey, parseNetworkKey } from './network-key.ts'
export type { DialBackReport, Reachability, ReachabilityStatus } from './reachability.ts'
// for the composition of a node
export { BoundedDatastore } from './bounded-datastore.ts'
export { keepCrowd } from './crowd.ts'
export { createGater } from './gater.ts'
export { gossipService } from './gossip.ts'
export { createPendingConnections } from './pending-connections.ts'
export { dhtService, mdnsDiscovery, preSharedKeyProtector, relayParts } from './services.ts'
export { prepareDiscovery } from './discovery.ts'
export type { Discovery } from './discovery.ts'
export type { OwnState } from './announcer.ts'
