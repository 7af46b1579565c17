/** Who is killed and who is started next; pure, so that a seed gives the same run of events. */

/** A place for a peer: always the same layers and addresses, one process after another. */
export interface Place {
  /** of the model: peers of the same part can stand in for each other */
  part: number
  /** `starting` serves nobody yet, but is on its way */
  state: 'serving' | 'starting' | 'dead'
  /** is never killed: what its process needs after the whole run shows whether anything leaks */
  stays: boolean
}

export interface Act {
  kind: 'kill' | 'start'
  place: number
  /** nobody hosts this part afterwards: the place is to be filled again soon */
  gap: boolean
}

/** More than that are not dead at a time: the others would hardly cover the model. */
const MOST_DEAD = 3

/** The share of kills that may take the last peer of a part. */
const GAP_SHARE = 1 / 4

/** What happens next; undefined where nothing can. */
export function chooseAct (places: readonly Place[], random: () => number): Act | undefined {
  const dead = numbers(places, ({ state }) => state === 'dead')
  const absent = places.filter(({ state }) => state !== 'serving').length
  const holders = ({ part }: Place): number => places.filter(place => place.part === part && place.state === 'serving').length
  const mayLeave = numbers(places, place => place.state === 'serving' && !place.stays && holders(place) > 1)
  const last = numbers(places, place => place.state === 'serving' && !place.stays && holders(place) === 1)
  // one gap at a time
  const whole = places.every(place => holders(place) > 0)
  const kill = (): Act | undefined => {
    const gap = whole && last.length > 0 && (random() < GAP_SHARE || mayLeave.length === 0)
    const chosen = pick(gap ? last : mayLeave, random)
    return chosen === undefined ? undefined : { kind: 'kill', place: chosen, gap }
  }
  const start = (): Act | undefined => dead.length === 0 ? undefined : { kind: 'start', place: pick(dead, random)!, gap: false }
  if (absent >= MOST_DEAD || (dead.length > 0 && random() < 0.5)) return start()
  return kill() ?? start()
}

export interface Trouble {
  kind: 'cut' | 'freeze'
  place: number
  milliseconds: number
}

/** Links are cut for seconds, or pass nothing for a while: longer than a client bears, or shorter. */
export function chooseTrouble (places: readonly Place[], random: () => number): Trouble | undefined {
  const place = pick(numbers(places, ({ state }) => state === 'serving'), random)
  if (place === undefined) return undefined
  return random() < 0.6
    ? { kind: 'cut', place, milliseconds: 500 + 3500 * random() }
    : { kind: 'freeze', place, milliseconds: 300 + 5700 * random() }
}

function numbers (places: readonly Place[], wanted: (place: Place) => boolean): number[] {
  return places.flatMap((place, index) => wanted(place) ? index : [])
}

function pick (list: readonly number[], random: () => number): number | undefined {
  return list[Math.floor(random() * list.length)]
}
