/**
 * The guest's output on its way to ours: passes everything on, and knows when it has seen the end.
 *
 * The guest ends each stream with END_MARK and the run's nonce. So nothing is lost when the machine is switched off: the
 * host waits for both marks. Bytes that may be the start of a mark are held back until the next bytes decide.
 */
import { Transform, type TransformCallback } from 'node:stream'
import { END_MARK } from './initramfs.js'

/** Emits the bytes before the mark, and 'end' when it came. What follows a mark is dropped: nothing does. */
export class MarkedOutput extends Transform {
  /** Whether the mark has been seen. */
  isComplete = false
  readonly #mark: Buffer
  #held: Buffer = Buffer.alloc(0)

  constructor(nonce: string) {
    super()
    this.#mark = Buffer.from(END_MARK + nonce)
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (this.isComplete) {
      callback()
      return
    }
    const bytes = Buffer.concat([this.#held, chunk])
    const at = bytes.indexOf(this.#mark)
    const end = at >= 0 ? at : bytes.length - markPrefixBytes(bytes, this.#mark)
    if (end > 0) this.push(bytes.subarray(0, end))
    this.#held = at >= 0 ? Buffer.alloc(0) : bytes.subarray(end)
    if (at >= 0) {
      this.isComplete = true
      this.emit('mark')
    }
    callback()
  }

  override _flush(callback: TransformCallback): void {
    if (this.#held.length > 0) this.push(this.#held)
    callback()
  }
}

/** How many bytes at the end of `bytes` are a beginning of `mark`. */
function markPrefixBytes(bytes: Buffer, mark: Buffer): number {
  for (let count = Math.min(mark.length - 1, bytes.length); count > 0; count -= 1) {
    if (bytes.subarray(bytes.length - count).equals(mark.subarray(0, count))) return count
  }
  return 0
}
