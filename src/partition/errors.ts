/** What all errors of this folder have; `retryable` means that the same call may succeed later. */
export abstract class PartitionError extends Error {
  abstract readonly code: string
  readonly retryable: boolean = false
}

/** A list of machines that no plan can be made of: empty, a name twice, a quantity out of range. */
export class InvalidMachineError extends PartitionError {
  override readonly name = 'InvalidMachineError'
  readonly code = 'ERR_INVALID_MACHINE'
  /** what is wrong, for instance `speed`, or `machines` for the list itself */
  readonly field: string

  constructor (machine: string | undefined, field: string, reason: string) {
    super(machine === undefined ? `${field}: ${reason}` : `machine ${machine}: ${field} ${reason}`)
    this.field = field
  }
}

/** An option out of range, such as a negative number of positions. */
export class InvalidPlanOptionError extends PartitionError {
  override readonly name = 'InvalidPlanOptionError'
  readonly code = 'ERR_INVALID_PLAN_OPTION'
  readonly field: string

  constructor (field: string, reason: string) {
    super(`${field}: ${reason}`)
    this.field = field
  }
}

/** No machine has room for a single unit. */
export class ZeroCapacityError extends PartitionError {
  override readonly name = 'ZeroCapacityError'
  readonly code = 'ERR_ZERO_CAPACITY'
  /** bytes of the smallest unit with its KV cache, and what a peer takes besides */
  readonly neededBytes: number
  /** memory of the machine that has the most */
  readonly largestBytes: number

  constructor (neededBytes: number, largestBytes: number) {
    super(`no machine has room for a single unit: the smallest takes ${size(neededBytes)} with what a peer needs besides, the largest machine has ${size(largestBytes)}`)
    this.neededBytes = neededBytes
    this.largestBytes = largestBytes
  }
}

/** The machines together do not hold the model. */
export class NoPlanError extends PartitionError {
  override readonly name = 'NoPlanError'
  readonly code = 'ERR_NO_PLAN'
  /** of the units that are left over when the machines are filled as far as they go; on one machine more, a peer's own needs come on top */
  readonly missingBytes: number
  /** first of those units */
  readonly firstUnit: number
  /** weights and KV cache of the whole model */
  readonly neededBytes: number
  /** of all machines, less what peers take besides */
  readonly availableBytes: number

  constructor ({ missingBytes, firstUnit, neededBytes, availableBytes }: { missingBytes: number, firstUnit: number, neededBytes: number, availableBytes: number }) {
    super(`the machines do not hold the model: ${size(missingBytes)} are missing (it takes ${size(neededBytes)}, and they have ${size(availableBytes)} for it, of which only whole units can be filled)`)
    this.missingBytes = missingBytes
    this.firstUnit = firstUnit
    this.neededBytes = neededBytes
    this.availableBytes = availableBytes
  }
}

/** Rounded up: what is said to be missing must be enough. */
function size (bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes).toLocaleString('en')} bytes` : `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`
}
