/**
 * A ublk queue without a kernel that has ublk: files in memory stand for /dev/ublkcN and its descriptors (QueueOptions.fake).
 * The ring, the eventfds, the checks and the copies are the real ones.
 */
import { closeSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import {
  COMMAND_WORDS,
  closeFd,
  createMemfd,
  DESCRIPTOR_WORDS,
  mapShared,
  type NativeMedia,
  openQueue,
  type Queue,
  unmapShared,
} from '../../ublk-native/index.js'

export const FAKE_KEEP = 0xffffffff
export const FAKE_ABORT = 0xfffffffe
export const FAKE_REFUSE = 0xfffffffd
const TAG_SHIFT = 25

export interface Command {
  kind: number
  tag: number
  result?: number
  bytes?: number
  offset?: number
  lba?: number
}

export class FakeQueue {
  readonly queue: Queue
  readonly marks: Int32Array
  readonly #charFd = createMemfd('ublkc')
  readonly #descriptorsFd = createMemfd('descriptors')
  readonly #descriptors: Uint32Array
  readonly #buffer: ArrayBuffer
  readonly #base: number

  constructor(media: NativeMedia, depth: number, maxIoBytes = 1024 * 1024, base = 4096) {
    this.#base = base
    const bytes = Math.ceil((depth * DESCRIPTOR_WORDS * 4) / 4096) * 4096
    ftruncateSync(this.#descriptorsFd, bytes)
    this.#buffer = mapShared(`/proc/self/fd/${this.#descriptorsFd}`, bytes, false)
    this.#descriptors = new Uint32Array(this.#buffer)
    this.marks = new Int32Array(8)
    this.queue = openQueue({
      charFd: this.#charFd,
      queueId: 0,
      depth,
      maxIoBytes,
      media,
      marks: this.marks,
      markByteOffsets: [8, 24],
      fake: { descriptorsFd: this.#descriptorsFd, userCopyBase: base },
    })
  }

  /** What the kernel would say of the tag when it is fetched next. */
  request(tag: number, op: number, sectors: number, startSector = 0): void {
    this.#descriptors.set([op, sectors, startSector, 0], tag * DESCRIPTOR_WORDS)
  }

  /** What was committed for the tag last: its result, and the low word of its LBA. */
  committed(tag: number): { result: number; lba: number } {
    const at = tag * DESCRIPTOR_WORDS
    return { result: this.#descriptors[at + 4]! | 0, lba: this.#descriptors[at + 5]! }
  }

  setPayload(tag: number, bytes: Uint8Array): void {
    writeSync(this.#charFd, bytes, 0, bytes.length, this.#base + tag * 2 ** TAG_SHIFT)
  }

  payload(tag: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    const got = readSync(this.#charFd, bytes, 0, length, this.#base + tag * 2 ** TAG_SHIFT)
    return bytes.subarray(0, got)
  }

  command(index: number, command: Command): void {
    const { kind, tag, result = 0, bytes = 0, offset = 0, lba = 0 } = command
    const high = (value: number) => Math.floor(value / 2 ** 32)
    const words = [kind, tag, result, bytes, offset | 0, high(offset), lba | 0, high(lba)]
    this.queue.commands.set(words, index * COMMAND_WORDS)
  }

  result(index: number): number {
    return this.queue.commands[index * COMMAND_WORDS + 2]!
  }

  /** One turn of exactly these commands. */
  turn(commands: readonly Command[], parity = 0): number {
    for (const [index, command] of commands.entries()) this.command(index, command)
    return this.queue.commitAndFetch(commands.length | (parity << 16))
  }

  close(): void {
    this.queue.close()
    closeFd(this.queue.kickFd)
    unmapShared(this.#buffer)
    closeSync(this.#charFd)
    closeSync(this.#descriptorsFd)
  }
}
