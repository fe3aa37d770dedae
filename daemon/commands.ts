/**
 * The commands of a turn, written one after another into the array that commitAndFetch executes (docs/BOUNDARY.md).
 *
 * How many there are is counted here: a turn may commit tags that were delivered in an earlier one, and keep some that were
 * delivered now. Guarantees: never more than one command a tag and turn, if each tag is given once; nothing is allocated.
 * Until `begin()`, the commands of the last turn stand with their results: `count` of them.
 */
import {
  COMMAND_APPEND_BIT,
  COMMAND_COMMIT,
  COMMAND_WORDS,
  COMMAND_WRITE,
  type Queue,
} from '../ublk-native/index.js'

const SECTOR_SHIFT = 9
const COMMAND_KIND_MASK = 0xff

export class Commands {
  readonly #words: Int32Array
  /** Where the last turn put a tag's command. */
  readonly #indexOfTag: Int32Array
  #count = 0

  constructor(queue: Queue, depth: number) {
    this.#words = queue.commands
    this.#indexOfTag = new Int32Array(depth)
  }

  /** Commands of this turn so far; before `begin()`, of the last turn. */
  get count(): number {
    return this.#count
  }

  /** The array itself: COMMAND_WORDS for each. Of the last turn, word 2 holds what came of it. */
  get words(): Int32Array {
    return this.#words
  }

  begin(): void {
    this.#count = 0
  }

  /** What came of the command that this tag had in the last turn: bytes, or -errno. */
  resultOf(tag: number): number {
    return this.#words[this.#indexOfTag[tag]! * COMMAND_WORDS + 2]!
  }

  /** Commit `result`: at least 0, or -errno. */
  commit(tag: number, result: number): void {
    this.add(COMMAND_COMMIT, tag, result, 0)
  }

  /** Commit an append that failed. The kernel takes the address of an append's commit as its sector even then. */
  commitAppend(tag: number, result: number, low: number, high: number): void {
    const c = this.add(COMMAND_COMMIT | COMMAND_APPEND_BIT, tag, result, 0)
    this.#words[c + 6] = low
    this.#words[c + 7] = high
  }

  /** A command that moves or drops bytes: the media's offset is the sector's, in bytes. */
  transfer(kind: number, tag: number, low: number, high: number, sectors: number): void {
    const c = this.add(kind, tag, 0, sectors << SECTOR_SHIFT)
    this.#words[c + 4] = low << SECTOR_SHIFT
    this.#words[c + 5] = (high << SECTOR_SHIFT) | (low >>> (32 - SECTOR_SHIFT))
  }

  /** A WRITE whose commit tells the kernel where it went. */
  append(kind: number, tag: number, low: number, high: number, sectors: number): void {
    const c = this.#count * COMMAND_WORDS
    this.transfer(kind | COMMAND_APPEND_BIT, tag, low, high, sectors)
    this.#words[c + 6] = low
    this.#words[c + 7] = high
  }

  /** The WRITE of this tag, if its last command is one: store its bytes, then commit this -errno nonetheless. */
  failAfter(tag: number, result: number): void {
    const c = this.#indexOfTag[tag]! * COMMAND_WORDS
    if ((this.#words[c]! & COMMAND_KIND_MASK) === COMMAND_WRITE) this.#words[c + 2] = result
  }

  /** Any command; returns where its words begin. */
  add(kind: number, tag: number, result: number, bytes: number): number {
    const words = this.#words
    const c = this.#count * COMMAND_WORDS
    this.#indexOfTag[tag] = this.#count++
    words[c] = kind
    words[c + 1] = tag
    words[c + 2] = result
    words[c + 3] = bytes
    words[c + 6] = 0
    words[c + 7] = 0
    return c
  }
}
