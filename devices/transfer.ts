/**
 * Reads and writes of a descriptor on libuv's pool, to the end. Node's own promises for these cost three times as much.
 */
import { read, write } from 'node:fs'

/** fs.read or fs.write, as far as they are alike. */
type Call = (
  fd: number,
  bytes: Uint8Array,
  from: number,
  length: number,
  offset: number,
  done: (error: Error | null, count: number) => void,
) => void

function transfer(call: Call, fd: number, bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let done = 0
    const step = (error: Error | null, count: number) => {
      if (error !== null) return reject(error)
      done += count
      if (count === 0 || done === bytes.length) return resolve(done)
      call(fd, bytes, done, bytes.length - done, offset + done, step)
    }
    call(fd, bytes, 0, bytes.length, offset, step)
  })
}

/** Fills `target` from `offset`; gives how many bytes there were before the end. Rejects with what fs.read gives. */
export function readAt(fd: number, target: Uint8Array, offset: number): Promise<number> {
  return transfer(read, fd, target, offset)
}

/** Writes all of `source` at `offset`. Rejects with what fs.write gives. */
export function writeAt(fd: number, source: Uint8Array, offset: number): Promise<number> {
  return transfer(write, fd, source, offset)
}
