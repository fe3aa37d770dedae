/**
 * The kernel's side of a ublk queue, in memory: delivers requests, executes commands on a Media, takes results.
 *
 * As strict as the real one: a tag that is committed twice, never, or without having been delivered, is a thrown Error, so a
 * planner that loses a tag cannot pass a test. Faults: `failNextWrites` makes the copies of that many writes fail.
 */

import {
  COMMAND_APPEND_BIT,
  COMMAND_COMMIT,
  COMMAND_DISCARD,
  COMMAND_FLUSH,
  COMMAND_READ,
  COMMAND_WORDS,
  COMMAND_WRITE,
  DESCRIPTOR_WORDS,
  type Queue,
  STAMP_BIT,
  TAG_FAILED,
} from '../../ublk-native/index.js'
import type { Media } from '../../zone-model/index.js'

export interface FakeRequest {
  op: number
  startSector: number
  sectors: number
  payload?: Uint8Array
}

export interface Completion {
  request: FakeRequest
  result: number
  /** For zone appends. */
  lbaSector: number
  /** For reads and reports. */
  data: Uint8Array
}

const EIO = 5
const ENODEV = 19

export class FakeQueue implements Queue {
  readonly descriptors: Uint32Array
  readonly tags: Uint16Array
  readonly commands: Int32Array
  readonly stage = new Uint8Array(1 << 20)
  readonly clock = new Float64Array(2)
  /** The clock of stamps, in microseconds. */
  nowUs: () => number = () => 0
  readonly kickFd = -1
  readonly completions: Completion[] = []
  failNextWrites = 0
  failResult = -EIO
  /** Deliver no more than this many tags a turn. */
  batchMax = Number.POSITIVE_INFINITY
  stopped = false
  /** Called after the commits of a turn with an append in it, as the kernel's last act of that submission. */
  onMark: (parity: number) => void = () => {}
  readonly #waiting: FakeRequest[] = []
  readonly #inFlight: (FakeRequest | null)[]
  readonly #supplied = new Map<number, Uint8Array>()
  readonly #media: Media

  constructor(
    readonly depth: number,
    media: Media,
  ) {
    this.#media = media
    this.descriptors = new Uint32Array(depth * DESCRIPTOR_WORDS)
    this.tags = new Uint16Array(depth)
    this.commands = new Int32Array(depth * COMMAND_WORDS)
    this.#inFlight = new Array(depth).fill(null)
  }

  submit(request: FakeRequest): void {
    this.#waiting.push(request)
  }

  get pending(): number {
    return this.#waiting.length + this.#inFlight.filter(request => request !== null).length
  }

  /** What the kernel delivers again after its daemon died: requests in flight, in no particular tag. */
  inFlight(): FakeRequest[] {
    return this.#inFlight.filter(request => request !== null)
  }

  commitAndFetch(turn: number): number {
    const isStamped = (turn & STAMP_BIT) !== 0
    let ready = this.commit(turn)
    if (isStamped) this.clock[0] = this.nowUs()
    for (let tag = 0; tag < this.depth && ready < Math.min(this.depth, this.batchMax); tag++) {
      if (this.#inFlight[tag] !== null) continue
      const request = this.#waiting.shift()
      if (request === undefined) break
      this.#deliver(tag, request)
      this.tags[ready++] = tag
    }
    if (isStamped) this.clock[1] = this.nowUs()
    return ready === 0 && this.stopped ? -ENODEV : ready
  }

  /** The first half of a turn: execute and commit, deliver nothing new. Returns how many tags go back as failed. */
  commit(turn: number): number {
    const count = turn & 0xffff
    let failed = 0
    let hasAppend = false
    for (let i = 0; i < count; i++) {
      hasAppend ||= (this.commands[i * COMMAND_WORDS]! & COMMAND_APPEND_BIT) !== 0
      const tag = this.#execute(i)
      if (tag >= 0) this.tags[failed++] = tag | TAG_FAILED
    }
    if (hasAppend) this.onMark((turn & ~STAMP_BIT) >>> 16)
    return failed
  }

  /** Die after the copies of a turn and before its commits: bytes are on the media, nobody knows. */
  copyOnly(turn: number): void {
    for (let i = 0; i < (turn & 0xffff); i++) {
      const c = i * COMMAND_WORDS
      if ((this.commands[c]! & 0xff) !== COMMAND_WRITE) continue
      const payload = this.#inFlight[this.commands[c + 1]!]?.payload
      const offset = (this.commands[c + 5]! >>> 0) * 2 ** 32 + (this.commands[c + 4]! >>> 0)
      if (payload !== undefined) this.#media.write(offset, payload)
    }
  }

  /** What the kernel still has to deliver. */
  waiting(): FakeRequest[] {
    return [...this.#waiting]
  }

  /** What was asked for last, in microseconds. */
  wakeUs = 0
  wakeIn(microseconds: number): void {
    this.wakeUs = microseconds
  }

  supply(tag: number, bytes: number): number {
    this.#supplied.set(tag, this.stage.slice(0, bytes))
    return bytes
  }

  failure(): null {
    return null
  }

  close(): void {}

  #deliver(tag: number, request: FakeRequest): void {
    const d = tag * DESCRIPTOR_WORDS
    this.#inFlight[tag] = request
    this.descriptors[d] = request.op
    this.descriptors[d + 1] = request.sectors
    this.descriptors[d + 2] = request.startSector >>> 0
    this.descriptors[d + 3] = Math.floor(request.startSector / 2 ** 32)
  }

  /** Execute one command; returns the tag when it must go back as failed, else −1. */
  #execute(i: number): number {
    const c = i * COMMAND_WORDS
    const words = this.commands.subarray(c, c + COMMAND_WORDS)
    const kind = words[0]! & 0xff
    const tag = words[1]!
    const request = this.#inFlight[tag]
    if (request == null) throw new Error(`command ${i}: tag ${tag} is not in flight`)
    const bytes = words[3]!
    const offset = (words[5]! >>> 0) * 2 ** 32 + (words[4]! >>> 0)
    let data: Uint8Array = this.#supplied.get(tag) ?? new Uint8Array(0)
    this.#supplied.delete(tag)
    let result = words[2]!
    if (kind === COMMAND_READ) {
      data = new Uint8Array(bytes)
      result = this.#media.read(offset, data)
    } else if (kind === COMMAND_WRITE) {
      const isTorn = result < 0
      const whole = request.sectors * 512
      if (isTorn ? bytes <= 0 || bytes >= whole : bytes !== whole)
        throw new Error(`tag ${tag}: ${bytes} bytes for ${request.sectors} sectors, ${result}`)
      if (this.failNextWrites > 0) {
        this.failNextWrites--
        words[2] = this.failResult
        return tag
      }
      const payload = request.payload ?? new Uint8Array(bytes)
      const written = this.#media.write(offset, payload.subarray(0, bytes))
      if (!isTorn) result = written
    } else if (kind === COMMAND_DISCARD) result = this.#media.discard(offset, bytes)
    else if (kind === COMMAND_FLUSH) result = this.#media.flush()
    else if (kind !== COMMAND_COMMIT) throw new Error(`command ${i}: unknown kind ${kind}`)
    words[2] = result
    this.#inFlight[tag] = null
    const isAppend = (words[0]! & COMMAND_APPEND_BIT) !== 0
    const lbaSector = isAppend ? (words[7]! >>> 0) * 2 ** 32 + (words[6]! >>> 0) : 0
    this.completions.push({ request, result, lbaSector, data })
    return -1
  }
}
