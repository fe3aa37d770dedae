/**
 * Where a turn can be told to wait: before a request is planned (a Gate), or between its plan and its commit (a Holder).
 *
 * Both are null on the plain path, which then costs one comparison a turn or request. A tag that is held stays delivered: its
 * descriptor is valid, the kernel waits, and when the process dies the next one gets the request again. Neither may allocate,
 * throw or wait.
 */

/** Plan it now. */
export const VERDICT_PLAN = 0
/** Keep it: the gate gives it back by due(). */
export const VERDICT_HELD = 1
/** Store only the first tornSectors() of it, then commit -errno. WRITE and ZONE_APPEND only. */
export const VERDICT_TORN = 2

/** Asked before a request is planned: injected faults, the time that a drive takes. */
export interface Gate {
  /** Called once a turn. Whether anything is to be asked in this one; else nothing below is called. */
  beginTurn(): boolean
  /** A request was delivered: one of VERDICT_*, or below 0: commit this -errno. */
  arrive(tag: number): number
  /** The next held tag whose time has come, or -1. */
  due(): number
  /** What is to become of the tag that due() gave: as arrive(), but never VERDICT_HELD. */
  verdict(tag: number): number
  /** With VERDICT_TORN: how many sectors are stored, less than the request has. */
  tornSectors(tag: number): number
  /** With VERDICT_TORN: what is committed, below 0. */
  tornResult(tag: number): number
  /** Of a request that failed by order: the rule that said so, for `zslab explain`. At least 1. */
  cause(tag: number): number
  /** Called at the end of a turn that beginTurn() said yes to. */
  endTurn(): void
}

/**
 * Asked after a FLUSH or a zone command was planned without error: its commit may have to wait for something outside of the
 * queue (a sync of a file). Never a write: recovery takes for granted that the writes of all turns but the last were
 * committed (docs/BOUNDARY.md).
 */
export interface Holder {
  /** Whether the commit of this tag waits. Then released() gives it, later. */
  keeps(tag: number, op: number): boolean
  /** A write or append with FUA was planned: never kept, but told. */
  wroteDurably(tag: number): void
  /** The next tag whose commit may go, or -1. Called at the start of each turn, until -1. */
  released(): number
  /** What to commit for the tag that released() gave: 0, or -errno. */
  resultOf(tag: number): number
}

export interface Seams {
  gate?: Gate | null
  holder?: Holder | null
}
