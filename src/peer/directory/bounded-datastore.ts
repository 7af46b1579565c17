import { MemoryDatastore } from 'datastore-core'
import { MAXIMUM_STORED_ENTRIES } from './constants.ts'

type Key = Parameters<MemoryDatastore['put']>[0]

/**
 * Where libp2p keeps what others tell it: peers it has met, and records of the
 * DHT that it holds for others. Both would grow as long as anybody sends; here
 * the ones longest not written go first.
 */
export class BoundedDatastore extends MemoryDatastore {
  readonly #keys = new Map<string, Map<string, Key>>()
  readonly #maximum: number

  constructor (maximum = MAXIMUM_STORED_ENTRIES) {
    super()
    this.#maximum = maximum
  }

  override put (...args: Parameters<MemoryDatastore['put']>): ReturnType<MemoryDatastore['put']> {
    const [key] = args
    const kind = kindOf(key)
    const keys = this.#keys.get(kind) ?? new Map<string, Key>()
    this.#keys.set(kind, keys)
    keys.delete(key.toString())
    keys.set(key.toString(), key)
    const result = super.put(...args)
    if (keys.size > this.#maximum) {
      const [[name, oldest]] = keys
      keys.delete(name)
      super.delete(oldest)
    }
    return result
  }

  override delete (...args: Parameters<MemoryDatastore['delete']>): ReturnType<MemoryDatastore['delete']> {
    const [key] = args
    this.#keys.get(kindOf(key))?.delete(key.toString())
    return super.delete(...args)
  }
}

function kindOf (key: Key): string {
  return key.toString().split('/', 2)[1] ?? ''
}
