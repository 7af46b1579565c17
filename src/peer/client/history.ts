/** What a session is, wherever its stages are: the client can always begin again from here. */
export interface History {
  /** ids of the positions that all stages hold, or are to hold again */
  readonly ids: number[]
  /** number of the last step or request */
  sequence: number
  /** positions that the session will have after the step that is under way */
  wanted: number
}
