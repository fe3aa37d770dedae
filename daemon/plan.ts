/**
 * A turn: from the tags that were delivered to the commands that commitAndFetch executes.
 *
 * Guarantees: each delivered tag is planned once, in this turn unless a gate or a holder keeps it (seams.ts); what failed is
 * taken back before the next batch begins; resets come before writes. Nothing is allocated, thrown or awaited.
 */

import { type Queue, TAG_FAILED } from '../ublk-native/index.js'
import {
  type DiscardExtent,
  EIO,
  ENOSPC,
  type Geometry,
  type Media,
  undoWrite,
  type ZoneTable,
} from '../zone-model/index.js'
import { Commands } from './commands.js'
import { COUNTER_FAILED, COUNTER_NO_SPACE, COUNTER_TURNS } from './counters.js'
import { Decider } from './decide.js'
import { Requests } from './requests.js'
import { type Gate, type Holder, type Seams, VERDICT_HELD, VERDICT_TORN } from './seams.js'
import type { SharedState } from './shared-state.js'
import { type RingSource, TraceRecorder } from './trace-recorder.js'

/** The turn's parity rides on the count that goes back to commitAndFetch. */
const PARITY_SHIFT = 16
/** On a tag of a turn, beside TAG_FAILED: its gate wants it torn. Tags are below 4096. */
const TAG_TORN = 0x4000
const TAG_MARKS = TAG_FAILED | TAG_TORN

export class Planner {
  /** The commands of the last turn, with their results, until the next planTurn(). */
  readonly commands: Commands
  readonly #queue: Queue
  readonly #requests: Requests
  readonly #decider: Decider
  readonly #recorder: TraceRecorder
  readonly #table: ZoneTable
  readonly #counters: Float64Array
  readonly #queueId: number
  readonly #firstSlot: number
  readonly #conventionalCount: number
  readonly #failedResult: Int32Array
  readonly #discardExtent: DiscardExtent
  readonly #gate: Gate | null
  readonly #holder: Holder | null
  /** The tags to plan in a turn, where a gate chooses them. */
  readonly #chosen: Uint16Array
  #hasResets = false

  constructor(
    queue: Queue,
    state: SharedState,
    geometry: Geometry,
    media: Media,
    queueId: number,
    depth: number,
    seams: Seams = {},
    rings: RingSource | null = null,
  ) {
    const { gate = null, holder = null } = seams
    const requests = new Requests(queue.descriptors, geometry)
    const commands = new Commands(queue, depth)
    this.#queue = queue
    this.#requests = requests
    this.commands = commands
    this.#decider = new Decider(queue, requests, commands, state, geometry, media, queueId, holder)
    this.#recorder = new TraceRecorder(queue, requests, commands, state, depth, rings)
    this.#table = state.table
    this.#counters = state.counters(queueId)
    this.#queueId = queueId
    // The table may have room for more tags than the queue has.
    this.#firstSlot = queueId * state.table.depth
    this.#conventionalCount = geometry.conventionalCount
    this.#failedResult = new Int32Array(depth)
    const zoneBytes = geometry.zoneSizeSectors * 512
    this.#discardExtent = (zone, offset, count) =>
      media.discard(zone * zoneBytes + offset * 512, count * 512)
    this.#gate = gate
    this.#holder = holder
    this.#chosen = new Uint16Array(depth)
  }

  /**
   * Plan the `ready` tags that the last turn delivered, in their order, and those of earlier turns whose time has come (there
   * may be some when `ready` is 0: a kick). Returns what commitAndFetch takes: the number of commands, and the parity of the
   * batch that they belong to.
   *
   * Writes that failed are taken back first, the last one first, as the write pointer went: their log entries belong to the
   * last batch, and are lost from the moment the next one begins (docs/BOUNDARY.md). Then resets, which throw bytes away
   * here and now: after a write of the same turn, they would do so before its bytes are copied.
   */
  planTurn(ready: number): number {
    const tags = this.#queue.tags
    const commands = this.commands
    this.#recorder.beginTurn(ready)
    this.#counters[COUNTER_TURNS]! += 1
    this.#hasResets = false
    for (let i = ready - 1; i >= 0; i--) {
      const tag = tags[i]!
      if ((tag & TAG_FAILED) !== 0) this.#takeBack(tag ^ TAG_FAILED)
      else if (this.#requests.isReset(tag)) this.#hasResets = true
    }
    const parity = this.#table.beginBatch(this.#queueId)
    commands.begin()
    if (this.#holder !== null) this.#commitReleased(this.#holder)
    if (this.#gate?.beginTurn()) {
      this.#planAll(this.#chosen, this.#choose(this.#gate, ready))
      this.#gate.endTurn()
    } else this.#planAll(tags, ready)
    return commands.count | (parity << PARITY_SHIFT) | this.#recorder.endTurn()
  }

  #planAll(tags: Uint16Array, count: number): void {
    const hasResets = this.#hasResets
    if (hasResets) {
      for (let i = 0; i < count; i++) {
        const tag = tags[i]!
        if ((tag & TAG_MARKS) === 0 && this.#requests.isReset(tag)) this.#decider.decide(tag)
      }
    }
    for (let i = 0; i < count; i++) {
      const tag = tags[i]!
      if ((tag & TAG_MARKS) !== 0) this.#planMarked(tag)
      else if (!hasResets || !this.#requests.isReset(tag)) this.#decider.decide(tag)
    }
  }

  /** Ask the gate about what came, and for what it held: commits what is to fail, and fills `#chosen` with what is to be planned. */
  #choose(gate: Gate, ready: number): number {
    const tags = this.#queue.tags
    let count = 0
    for (let i = 0; i < ready; i++) {
      const tag = tags[i]!
      if ((tag & TAG_FAILED) !== 0) this.#chosen[count++] = tag
      else count = this.#judged(gate, tag, gate.arrive(tag), count)
    }
    for (let tag = gate.due(); tag >= 0; tag = gate.due()) {
      if (this.#requests.isReset(tag)) this.#hasResets = true
      count = this.#judged(gate, tag, gate.verdict(tag), count)
    }
    return count
  }

  #judged(gate: Gate, tag: number, verdict: number, count: number): number {
    if (verdict === VERDICT_HELD) return count
    if (verdict < 0) {
      this.#decider.failByOrder(gate, tag, verdict)
      return count
    }
    this.#chosen[count] = verdict === VERDICT_TORN ? tag | TAG_TORN : tag
    return count + 1
  }

  #commitReleased(holder: Holder): void {
    for (let tag = holder.released(); tag >= 0; tag = holder.released()) {
      const result = holder.resultOf(tag)
      if (result < 0) this.#counters[COUNTER_FAILED]! += 1
      this.commands.commit(tag, result)
    }
  }

  #planMarked(tag: number): void {
    if ((tag & TAG_FAILED) !== 0) this.#commitFailed(tag ^ TAG_FAILED)
    else if (this.#gate !== null) this.#decider.tear(this.#gate, tag ^ TAG_TORN)
  }

  /** The copy of a write failed: nobody has been told, so the write pointer goes back and its bytes are forgotten. */
  #takeBack(tag: number): void {
    this.#failedResult[tag] = this.commands.resultOf(tag)
    if (this.#requests.zone(tag) < this.#conventionalCount) return
    undoWrite(this.#table, this.#firstSlot + tag, this.#discardExtent)
  }

  #commitFailed(tag: number): void {
    this.#counters[COUNTER_FAILED]! += 1
    const result = this.#failedResult[tag]!
    if (result === -ENOSPC) this.#counters[COUNTER_NO_SPACE]! += 1
    this.#decider.commitError(tag, result < 0 ? result : -EIO)
  }
}
