/**
 * What the store knows of each zone that it uses, in columns by virtual zone (the id that locators carry), and which zones
 * of the device are free.
 *
 * About 130 bytes a zone, whatever it holds. Nothing here is per object.
 */

export const ZONE_NONE = 0
/** A lifetime class writes to it. */
export const ZONE_OPEN = 1
/** Full, or left by its class: read until its last deadline. */
export const ZONE_SEALED = 2
/** Its records are gone; the reset is under way. */
export const ZONE_DROPPED = 3

export class Zones {
  physical: Int32Array
  sequence: Uint32Array
  lifetimeClass: Uint8Array
  state: Uint8Array
  /** TTLs of its class when it was opened, ms: above the first, up to the second. */
  ttlAboveMs: Float64Array
  ttlUpToMs: Float64Array
  /** Milliseconds since the epoch; Infinity when something in it has no deadline; -Infinity when nothing is in it. */
  lastDeadlineMs: Float64Array
  /** Records that have neither been deleted nor written anew; those past their deadline are among them. */
  liveRecords: Int32Array
  liveBytes: Float64Array
  /** Records that were written to it, alive or not. */
  records: Int32Array
  /** Reads of its records, halved with every eviction. */
  hits: Uint32Array
  /** Marks in it, of copies in other zones. */
  marks: Int32Array
  /** Pages of it that have something on them, or in the stage. */
  pagesUsed: Int32Array
  /** Of zones of a drive with runs in them: the pages of the run that begins at a page, so that a read takes all of it at once. */
  readonly #runPages: (Uint16Array | null)[] = []
  /** Virtual zone of each zone of the device, or -1. */
  readonly virtualOf: Int32Array
  readonly #free: Int32Array
  #freeCount = 0

  /** `zoneCount`: zones of the device. */
  constructor(zoneCount: number) {
    this.virtualOf = new Int32Array(zoneCount).fill(-1)
    this.#free = new Int32Array(zoneCount)
    const room = 2 * zoneCount + 2
    this.physical = new Int32Array(room).fill(-1)
    this.sequence = new Uint32Array(room)
    this.lifetimeClass = new Uint8Array(room)
    this.state = new Uint8Array(room)
    this.ttlAboveMs = new Float64Array(room)
    this.ttlUpToMs = new Float64Array(room)
    this.lastDeadlineMs = new Float64Array(room)
    this.liveRecords = new Int32Array(room)
    this.liveBytes = new Float64Array(room)
    this.records = new Int32Array(room)
    this.hits = new Uint32Array(room)
    this.marks = new Int32Array(room)
    this.pagesUsed = new Int32Array(room)
  }

  get capacity(): number {
    return this.physical.length
  }

  get freeCount(): number {
    return this.#freeCount
  }

  noteRun(vzone: number, page: number, pages: number, pagesPerZone: number): void {
    let column = this.#runPages[vzone] ?? null
    if (column === null) {
      column = new Uint16Array(pagesPerZone)
      this.#runPages[vzone] = column
    }
    column[page] = pages
  }

  /** Pages of what begins at a page; 1 when nothing else is known. */
  pagesAt(vzone: number, page: number): number {
    return this.#runPages[vzone]?.[page] || 1
  }

  /** An empty zone of the device that may be opened. */
  giveFree(physical: number): void {
    this.#free[this.#freeCount++] = physical
  }

  /** The zone given back last, or -1: its place in caches is warmest. */
  takeFree(): number {
    return this.#freeCount === 0 ? -1 : this.#free[--this.#freeCount]!
  }

  /** Binds a virtual zone to a zone of the device. */
  open(vzone: number, physical: number, sequence: number, lifetimeClass: number): void {
    while (vzone >= this.capacity) this.#widen()
    this.virtualOf[physical] = vzone
    this.physical[vzone] = physical
    this.sequence[vzone] = sequence
    this.lifetimeClass[vzone] = lifetimeClass
    this.state[vzone] = ZONE_OPEN
    this.lastDeadlineMs[vzone] = Number.NEGATIVE_INFINITY
    this.liveRecords[vzone] = 0
    this.liveBytes[vzone] = 0
    this.records[vzone] = 0
    this.hits[vzone] = 0
    this.marks[vzone] = 0
    this.pagesUsed[vzone] = 0
    this.#runPages[vzone] = null
  }

  /** The virtual zone is no more, and its zone of the device belongs to nobody until `giveFree`. */
  forget(vzone: number): void {
    this.virtualOf[this.physical[vzone]!] = -1
    this.physical[vzone] = -1
    this.#runPages[vzone] = null
    this.state[vzone] = ZONE_NONE
  }

  isInUse(vzone: number): boolean {
    const state = this.state[vzone]
    return state === ZONE_OPEN || state === ZONE_SEALED
  }

  get memoryBytes(): number {
    const runs = this.#runPages.reduce((sum, column) => sum + (column?.byteLength ?? 0), 0)
    return (
      this.capacity * (4 + 4 + 1 + 1 + 8 + 8 + 8 + 4 + 8 + 4 + 4 + 4 + 4) +
      this.virtualOf.length * 8 +
      runs
    )
  }

  #widen(): void {
    const room = this.capacity * 2
    this.physical = copied(new Int32Array(room).fill(-1), this.physical)
    this.sequence = copied(new Uint32Array(room), this.sequence)
    this.lifetimeClass = copied(new Uint8Array(room), this.lifetimeClass)
    this.state = copied(new Uint8Array(room), this.state)
    this.ttlAboveMs = copied(new Float64Array(room), this.ttlAboveMs)
    this.ttlUpToMs = copied(new Float64Array(room), this.ttlUpToMs)
    this.lastDeadlineMs = copied(new Float64Array(room), this.lastDeadlineMs)
    this.liveRecords = copied(new Int32Array(room), this.liveRecords)
    this.records = copied(new Int32Array(room), this.records)
    this.liveBytes = copied(new Float64Array(room), this.liveBytes)
    this.hits = copied(new Uint32Array(room), this.hits)
    this.marks = copied(new Int32Array(room), this.marks)
    this.pagesUsed = copied(new Int32Array(room), this.pagesUsed)
  }
}

function copied<T extends { set(from: ArrayLike<number>): void }>(
  to: T,
  from: ArrayLike<number>,
): T {
  to.set(from)
  return to
}
