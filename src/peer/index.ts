/**
 * Peers: a libp2p node that serves a range of units, and the client that runs
 * sessions along a route of them. The wire is described in docs/protocol.md.
 */
export type * from './types.ts'
export * from './errors.ts'
export { DEFAULT_DEADLINES, DEFAULT_LIMITS, SOFTWARE } from './constants.ts'
export { diagnose } from './doctor.ts'
export type { DiagnoseInit, Diagnosis, Problem } from './doctor.ts'
export { surveySwarm } from './survey.ts'
export type { CheckedPeer, Survey, SurveyInit } from './survey.ts'
export { identityOf } from './key.ts'
export { createPeerNode } from './node.ts'
export {
  createNetworkKey, decodeInvite, DirectoryBusyError, encodeInvite, formatNetworkKey, inviteAddresses, InvalidInviteError, InvalidPeerIdError, isInvite, NetworkKeyError, parseAllowList, parseNetworkKey, rememberedAddresses
} from './directory/index.ts'
export type { AnnouncedState, Clock, DialBackReport, Directory, Invite, PeerRecord, RangeClaim, Reachability, ReachabilityStatus, Verdict } from './directory/index.ts'
export { BlocksUnavailableError, fetchManifest, fetchUnits, WrongBytesError } from './blocks/index.ts'
export type { FetchedUnits, FetchEvent, FetchInit, FetchUnitsInit } from './blocks/index.ts'
export { connectRoute } from './client/connect-route.ts'
export { createLocalRoute, createLocalSession } from './client/local-session.ts'
export * from './generate/index.ts'
