/** Who runs what for one session. */
export * from './types.ts'
export { ROUTE_SPREAD } from './constants.ts'
export { chooseRoute } from './choose-route.ts'
export { holderSpeeds } from './holder-speeds.ts'
export { routeWork } from './route-work.ts'
