/**
 * A media in ordinary memory: chunks that exist once something other than zeros has been written to them.
 *
 * For embedding and tests, on any platform. Not for many gigabytes: there is no compression and no same-fill detection.
 */

import type { Media } from './media.js'
import { EINVAL, ENOMEM } from './uapi.js'

const CHUNK_BYTES = 256 * 1024

function isZero(bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++) {
    if (bytes[index] !== 0) return false
  }
  return true
}

/** Sparse memory of any size. */
export class MemoryMedia implements Media {
  private readonly chunks = new Map<number, Uint8Array>()

  constructor(readonly bytes: number) {}

  /** Memory taken. */
  get allocatedBytes(): number {
    return this.chunks.size * CHUNK_BYTES
  }

  private isOutside(offsetBytes: number, lengthBytes: number): boolean {
    return offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > this.bytes
  }

  read(offsetBytes: number, target: Uint8Array): number {
    if (this.isOutside(offsetBytes, target.length)) return -EINVAL
    for (let done = 0; done < target.length; ) {
      const index = Math.floor((offsetBytes + done) / CHUNK_BYTES)
      const within = (offsetBytes + done) % CHUNK_BYTES
      const length = Math.min(CHUNK_BYTES - within, target.length - done)
      const chunk = this.chunks.get(index)
      if (chunk === undefined) target.fill(0, done, done + length)
      else target.set(chunk.subarray(within, within + length), done)
      done += length
    }
    return target.length
  }

  write(offsetBytes: number, source: Uint8Array): number {
    if (this.isOutside(offsetBytes, source.length)) return -EINVAL
    for (let done = 0; done < source.length; ) {
      const index = Math.floor((offsetBytes + done) / CHUNK_BYTES)
      const within = (offsetBytes + done) % CHUNK_BYTES
      const part = source.subarray(
        done,
        done + Math.min(CHUNK_BYTES - within, source.length - done),
      )
      if (!this.writeChunk(index, within, part)) return -ENOMEM
      done += part.length
    }
    return source.length
  }

  private writeChunk(index: number, within: number, part: Uint8Array): boolean {
    let chunk = this.chunks.get(index)
    if (chunk === undefined) {
      if (isZero(part)) return true
      try {
        chunk = new Uint8Array(CHUNK_BYTES)
      } catch {
        return false
      }
      this.chunks.set(index, chunk)
    }
    chunk.set(part, within)
    return true
  }

  discard(offsetBytes: number, lengthBytes: number): number {
    if (this.isOutside(offsetBytes, lengthBytes)) return -EINVAL
    const end = offsetBytes + lengthBytes
    for (let at = offsetBytes; at < end; ) {
      const index = Math.floor(at / CHUNK_BYTES)
      const within = at % CHUNK_BYTES
      const length = Math.min(CHUNK_BYTES - within, end - at)
      if (length === CHUNK_BYTES) this.chunks.delete(index)
      else this.discardPart(index, within, length)
      at += length
    }
    return 0
  }

  /** Zeros a part of a chunk, and gives the chunk back when nothing else is in it. */
  recycle(offsetBytes: number, lengthBytes: number): number {
    return this.discard(offsetBytes, lengthBytes)
  }

  private discardPart(index: number, within: number, length: number): void {
    const chunk = this.chunks.get(index)
    if (chunk === undefined) return
    chunk.fill(0, within, within + length)
    if (isZero(chunk)) this.chunks.delete(index)
  }

  flush(): number {
    return 0
  }

  close(): void {
    this.chunks.clear()
  }
}
