/**
 * A kernel and a daemon that can be killed at any store, for the crash test.
 *
 * The kernel has requests, gives them to tags, and takes commits; what was committed has been told to its user and can
 * never be taken back. The daemon is one queue worker: a turn is `beginBatch`, decisions, copies, then one step that
 * commits everything and sets the mark if there was an append, as one io_uring_enter does. When it is killed, the kernel
 * delivers again, with other tags and in another order, what was not committed; between them come new requests.
 */
import type * as Model from '../../zone-model/index.js'

export type Kind = 'write' | 'append' | 'reset' | 'open' | 'close' | 'finish'

/** A request as the user made it. `blocks` are the marks of its payload, one a block, unique in the whole run. */
export interface Request {
  readonly kind: Kind
  readonly zone: number
  readonly blocks: number[]
  /** For writes, given when first delivered: where the kernel believes the write pointer is. In blocks. */
  offset: number
  state: 'new' | 'delivered' | 'done'
  /** For appends, what the user was told. In blocks. */
  result: number
}

export const BLOCK_SECTORS = 8
export const DEPTH = 6

/** Thrown in the middle of anything: SIGKILL. */
export class Killed extends Error {}

/** Counts down to a kill; 0 and less: never. */
export class Fate {
  constructor(public remaining: number) {}
  steps = 0

  step(): void {
    this.steps++
    this.remaining--
    if (this.remaining === 0) throw new Killed()
  }
}

export class CrashKernel {
  readonly requests: Request[] = []
  /** Payload marks by zone and block; undefined is zeros. What the media holds survives the daemon. */
  readonly media: (number | undefined)[][]
  private readonly writePointers: number[]
  private nextMark = 1
  fate = new Fate(0)
  /** Blocks that a merge has added to a request that was delivered before. */
  merges = 0

  constructor(
    private readonly model: typeof Model,
    private readonly words: Int32Array,
    private readonly geometry: Model.Geometry,
    private readonly random: (below: number) => number,
  ) {
    this.media = Array.from({ length: geometry.zoneCount }, () => [])
    this.writePointers = new Array<number>(geometry.zoneCount).fill(0)
  }

  submit(kind: Kind, zone: number, blockCount = 0): void {
    const blocks = Array.from({ length: blockCount }, () => this.nextMark++)
    this.requests.push({ kind, zone, blocks, offset: -1, state: 'new', result: -1 })
  }

  get isIdle(): boolean {
    return this.requests.every(request => request.state === 'done')
  }

  /** Attaches as a daemon that has just been started; after a crash with recovery. */
  attach(isRecovery: boolean): Model.ZoneTable {
    const table = new this.model.ZoneTable(this.words, this.geometry, 1, DEPTH, () => {
      throw new Error('a lock was left behind')
    })
    if (isRecovery) {
      table.recover()
      this.requeue()
    }
    return table
  }

  /** What was in flight is delivered again. A write may grow by the next one of its zone, if that is still new. */
  private requeue(): void {
    for (const request of this.requests) {
      if (request.state !== 'delivered' || request.kind !== 'write') continue
      const next = this.requests.find(other => other.state === 'new' && other.zone === request.zone)
      if (next?.kind !== 'write' || this.random(3) !== 0) continue
      request.blocks.push(...next.blocks)
      this.writePointers[request.zone] = request.offset + request.blocks.length
      next.state = 'done'
      next.blocks.length = 0
      this.merges++
    }
  }

  /** The requests of the next turn, in random order: one write a zone at a time, zone commands alone in their zone. */
  private deliverable(): Request[] {
    const chosen: Request[] = []
    const busyZones = new Map<number, Kind>()
    for (const request of this.requests) {
      if (request.state === 'done') continue
      const holder = busyZones.get(request.zone)
      const isFree = holder === undefined || (holder === 'append' && request.kind === 'append')
      // What waits makes all that follow in its zone wait, appends too.
      busyZones.set(request.zone, isFree ? request.kind : 'reset')
      if (isFree) chosen.push(request)
    }
    for (let left = chosen.length; left > 1; left--) {
      const other = this.random(left)
      const swap = chosen[left - 1]!
      chosen[left - 1] = chosen[other]!
      chosen[other] = swap
    }
    const turn = chosen.slice(0, 1 + this.random(DEPTH))
    for (const request of turn) {
      if (request.state === 'new' && request.kind === 'write') {
        request.offset = this.writePointers[request.zone]!
        this.writePointers[request.zone]! += request.blocks.length
      }
      request.state = 'delivered'
    }
    return turn
  }

  /** One turn of the daemon. Throws {@link Killed} when its time has come. */
  turn(table: Model.ZoneTable): void {
    const turn = this.deliverable()
    const firstTag = this.random(DEPTH)
    const parity = table.beginBatch(0)
    const placed = turn.map((request, index) =>
      this.decide(table, request, (firstTag + index) % DEPTH),
    )
    for (const [index, request] of turn.entries()) this.copy(request, placed[index]!)
    this.fate.step()
    // One io_uring_enter: all commits, then the mark. A signal comes before or after it.
    for (const [index, request] of turn.entries()) {
      request.state = 'done'
      request.result = placed[index]!
      if (request.kind === 'reset') this.writePointers[request.zone] = 0
    }
    if (turn.some(request => request.kind === 'append')) {
      this.words[table.markByteOffset(0, parity) / 4] = 1
    }
    this.fate.step()
  }

  /** Asks the model; gives the block where the payload goes. Nothing in these runs may be refused. */
  private decide(table: Model.ZoneTable, request: Request, tag: number): number {
    const { model } = this
    const { zone } = request
    const count = request.blocks.length * BLOCK_SECTORS
    if (request.kind === 'append') {
      const offset = model.admitAppend(table, tag, zone, count)
      if (offset < 0)
        throw new Error(`append to zone ${zone} refused with ${(-offset).toString(16)}h`)
      return offset / BLOCK_SECTORS
    }
    if (request.kind === 'write') {
      const op = model.UBLK_IO_OP_WRITE
      const result = model.admitWrite(table, tag, op, zone, request.offset * BLOCK_SECTORS, count)
      if (result < 0)
        throw new Error(`write to zone ${zone} refused with ${(-result).toString(16)}h`)
      return request.offset
    }
    const result = this.manage(table, request.kind, zone)
    if (result < 0)
      throw new Error(`${request.kind} of zone ${zone} refused with ${(-result).toString(16)}h`)
    return 0
  }

  private manage(table: Model.ZoneTable, kind: Kind, zone: number): number {
    const { model } = this
    if (kind === 'open') return model.openZone(table, zone)
    if (kind === 'close') return model.closeZone(table, zone)
    if (kind === 'finish') return model.finishZone(table, zone)
    return model.resetZone(table, zone, () => {
      this.fate.step()
      this.media[zone] = []
      return 0
    })
  }

  /** Copies block by block: a kill may leave half of a payload. */
  private copy(request: Request, offset: number): void {
    for (const [index, mark] of request.blocks.entries()) {
      this.fate.step()
      this.media[request.zone]![offset + index] = mark
    }
  }

  /** What is wrong when all requests are done; empty when nothing is. */
  faults(table: Model.ZoneTable): string[] {
    const faults: string[] = []
    // Every outstanding append has had its request; one that is left would be given to a new append.
    const left = table.log.outstandingAppends
    if (left !== 0) faults.push(`${left} outstanding appends are left`)
    for (let zone = 0; zone < table.zoneCount; zone++) {
      const last = this.requests.findLastIndex(
        ({ kind, zone: of }) => kind === 'reset' && of === zone,
      )
      const mine = this.requests.filter((request, index) => index > last && request.zone === zone)
      faults.push(...this.zoneFaults(table, zone, mine))
    }
    const counters = [table.implicitOpen, table.explicitOpen, table.closed]
    const { BLK_ZONE_COND_IMP_OPEN, BLK_ZONE_COND_EXP_OPEN, BLK_ZONE_COND_CLOSED } = this.model
    for (const [index, condition] of [
      BLK_ZONE_COND_IMP_OPEN,
      BLK_ZONE_COND_EXP_OPEN,
      BLK_ZONE_COND_CLOSED,
    ].entries()) {
      let count = 0
      for (let zone = 0; zone < table.zoneCount; zone++) {
        if (this.model.conditionOf(table.load(zone)) === condition) count++
      }
      if (count !== counters[index])
        faults.push(`counter ${index} is ${counters[index]}, not ${count}`)
    }
    return faults
  }

  private zoneFaults(table: Model.ZoneTable, zone: number, mine: Request[]): string[] {
    const faults: string[] = []
    const media = this.media[zone]!
    let total = 0
    for (const { kind, blocks, offset, result } of mine) {
      total += blocks.length
      const at = kind === 'append' ? result : offset
      for (const [index, mark] of blocks.entries()) {
        if (media[at + index] === mark) continue
        faults.push(
          `zone ${zone}: ${kind} at block ${at + index} holds ${media[at + index]}, not ${mark}`,
        )
      }
    }
    for (let block = 0; block < total; block++) {
      if (media[block] === undefined) faults.push(`zone ${zone}: a hole at block ${block}`)
    }
    if (media.length > total)
      faults.push(`zone ${zone}: ${media.length} blocks written, ${total} asked for`)
    const isFinished = mine.some(({ kind }) => kind === 'finish')
    const wp = this.model.wpOf(table.load(zone))
    const wanted = isFinished ? table.capacitySectors : total * BLOCK_SECTORS
    if (wp !== wanted) faults.push(`zone ${zone}: write pointer ${wp}, not ${wanted}`)
    return faults
  }
}
