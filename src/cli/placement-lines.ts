import { plural } from './format.ts'
import { describeUnits } from './units.ts'
import type { PlacementEvent } from '../peer/index.ts'

/** What a peer without `--layers` does about its place, in one line. */
export function placementLine (event: PlacementEvent, layerCount: number): { text: string, warns: boolean } {
  const units = describeUnits(event.range, layerCount)
  switch (event.type) {
    case 'placement:claim': return say(`is going to host ${units}, unless somebody was first`)
    case 'placement:cancel': return say(`is not going to host ${units} after all`)
    case 'placement:load': return say(event.into === 'disk' ? `fetches ${units}; there is no room beside what it hosts` : `loads ${units}`)
    case 'placement:stored': return say(`has fetched ${units}`)
    case 'placement:serve': return say(`hosts ${units} from now on`)
    case 'placement:failed': return { text: `could not load ${units}: ${event.error.message}`, warns: true }
    case 'placement:withdraw': return say(`would leave ${units}, and asks who stays`)
    case 'placement:resume': return say(`goes on with ${units}: nobody else stays there`)
    case 'placement:drain': return say(`leaves ${units}${event.sessions > 0 ? `; ${plural(event.sessions, 'session')} to be moved to other peers` : ''}`)
    case 'placement:drop': return say(`hosts ${units} no more`)
  }
}

function say (text: string): { text: string, warns: boolean } {
  return { text, warns: false }
}
