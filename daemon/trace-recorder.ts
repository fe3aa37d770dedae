/**
 * Records what a queue is asked and what it answers, for `zslab trace record`, on the queue's own thread.
 *
 * A request is known when it is planned; its result when C++ has executed the command, which is seen at the beginning of the next
 * turn, when the kernel may already have put another request into the descriptor. So each turn notes what it planned, and the
 * next one adds the results and publishes both. A write whose copy failed comes back to be committed: it is noted then.
 *
 * Guarantees: one load a turn while nothing is recorded; nothing allocated but when a recording begins; never a wait.
 */
import {
  COMMAND_APPEND_BIT,
  COMMAND_WORDS,
  COMMAND_WRITE,
  type Queue,
  STAMP_BIT,
  TAG_FAILED,
} from '../ublk-native/index.js'
import type { Commands } from './commands.js'
import type { Requests } from './requests.js'
import type { SharedState } from './shared-state.js'
import type { TraceRing } from './trace-ring.js'

/** Index of the times in a queue's `clock`. */
const EXECUTED = 0
const DELIVERED = 1
/** A latency is a word of 31 bits: half an hour. */
const LATENCY_MAX_US = 2_000_000_000
/** Words of a noted request: descriptor words 0 to 3, index of its command, its tag. */
const NOTE_WORDS = 6

/** Where the ring of this queue comes from. */
export interface RingSource {
  /** Map it; null when it is not there any more. */
  open(): TraceRing | null
  /** Unmap it: a thread that never returns to its event loop cannot leave that to the garbage collector. */
  close(): void
}

export class TraceRecorder {
  readonly #queue: Queue
  readonly #requests: Requests
  readonly #commands: Commands
  readonly #state: SharedState
  readonly #source: RingSource | null
  readonly #notes: Int32Array
  /** When the request of a tag was delivered, µs; 0: before the recording. */
  readonly #deliveredUs: Float64Array
  #noted = 0
  #ring: TraceRing | null = null
  #recording = 0
  /** Whether the turn before this one asked for its times. */
  #isStamped = false

  constructor(
    queue: Queue,
    requests: Requests,
    commands: Commands,
    state: SharedState,
    depth: number,
    source: RingSource | null,
  ) {
    this.#queue = queue
    this.#requests = requests
    this.#commands = commands
    this.#state = state
    this.#source = source
    this.#notes = new Int32Array(depth * NOTE_WORDS)
    this.#deliveredUs = new Float64Array(depth)
  }

  /** First in a turn, before anything is planned: the commands of the last one still hold their results. */
  beginTurn(ready: number): void {
    if (this.#noted > 0) this.#publish(ready)
    const recording = this.#state.recording
    if (recording !== this.#recording) this.#turnTo(recording)
    if (this.#ring === null || !this.#isStamped) return
    const { tags, clock } = this.#queue
    const now = clock[DELIVERED]!
    for (let i = 0; i < ready; i++) {
      const tag = tags[i]!
      if ((tag & TAG_FAILED) === 0) this.#deliveredUs[tag] = now
    }
    this.#ring.beginTurn(now)
  }

  /**
   * Last in a turn: note what it commits, in the order in which it was decided. Returns what to add to the word for
   * commitAndFetch.
   */
  endTurn(): number {
    if (this.#ring === null) return 0
    if (this.#isStamped) {
      for (let i = 0; i < this.#commands.count; i++) this.#note(i)
    } else {
      this.#isStamped = true
      this.#ring.take(this.#recording)
    }
    return STAMP_BIT
  }

  #note(i: number): void {
    const notes = this.#notes
    const requests = this.#requests
    const tag = this.#commands.words[i * COMMAND_WORDS + 1]!
    const n = this.#noted * NOTE_WORDS
    notes[n] = requests.opAndFlags(tag)
    notes[n + 1] = requests.sectors(tag)
    notes[n + 2] = requests.startLow(tag)
    notes[n + 3] = requests.startHigh(tag)
    notes[n + 4] = i
    notes[n + 5] = tag
    if (this.#deliveredUs[tag] === 0) this.#deliveredUs[tag] = this.#queue.clock[DELIVERED]!
    this.#noted++
  }

  /** With the results: those that came back are not over yet. */
  #publish(ready: number): void {
    const ring = this.#ring!
    const notes = this.#notes
    const words = this.#commands.words
    const executed = this.#queue.clock[EXECUTED]!
    for (let n = 0; n < this.#noted * NOTE_WORDS; n += NOTE_WORDS) {
      const c = notes[n + 4]! * COMMAND_WORDS
      const tag = notes[n + 5]!
      const kind = words[c]!
      const result = words[c + 2]!
      const isWrite = (kind & ~COMMAND_APPEND_BIT) === COMMAND_WRITE
      if (isWrite && result < 0 && this.#cameBack(tag, ready)) continue
      const delivered = this.#deliveredUs[tag]!
      const latency = Math.min(Math.max(executed - delivered, 0), LATENCY_MAX_US) | 0
      const lba = (kind & COMMAND_APPEND_BIT) === 0 ? 0 : words[c + 6]!
      ring.push(
        notes[n]!,
        notes[n + 1]!,
        notes[n + 2]!,
        notes[n + 3]!,
        result,
        lba,
        delivered,
        latency,
      )
    }
    ring.publish()
    this.#noted = 0
  }

  /** Whether a write of the last turn has to be committed in this one. */
  #cameBack(tag: number, ready: number): boolean {
    const { tags } = this.#queue
    for (let i = 0; i < ready; i++) if (tags[i] === (tag | TAG_FAILED)) return true
    return false
  }

  /** Another recording begins, or this one ends: once in a recording, not once in a turn. */
  #turnTo(recording: number): void {
    this.#recording = recording
    this.#isStamped = false
    this.#deliveredUs.fill(0)
    if (this.#ring !== null) {
      this.#ring.take(0)
      this.#source?.close()
    }
    this.#ring = recording === 0 ? null : (this.#source?.open() ?? null)
  }
}
