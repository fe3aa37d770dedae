/**
 * Real request traces, read from files of the reader's: none is shipped.
 *
 * Known by name and form: `cache2k-*` (big-endian int32 keys; headissue GmbH, CC BY 4.0), `*adapt-size*` (text: time, id, size;
 * from Caffeine's simulator, Apache-2.0), `*.txt` (one id a line, as libCacheSim's cloudPhysicsIO.txt). `.xz` is unpacked by xz.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface Trace {
  readonly name: string
  /** Of each request its object: numbers from 0, in the order in which they first come. */
  readonly requests: Uint32Array
  /** Bytes of each object when it first comes; null: the trace has no sizes. */
  readonly sizes: Float64Array | null
}

const XZ_MAX_BYTES = 2 ** 30
const FORMS: readonly [RegExp, (bytes: Buffer) => { keys: number[]; sizes?: number[] }][] = [
  [/cache2k-.*\.trace/, bytes => ({ keys: int32Keys(bytes) })],
  [/adapt-size.*\.trace/, rowsOfText],
  [/\.txt/, bytes => ({ keys: bytes.toString('latin1').trim().split('\n').map(Number) })],
]

function int32Keys(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length >>> 2 }, (_, i) => bytes.readInt32BE(i * 4))
}

function rowsOfText(bytes: Buffer) {
  const rows = bytes.toString('latin1').trim().split('\n')
  const cells = rows.map(row => row.trim().split(/\s+/).map(Number))
  return { keys: cells.map(cell => cell[1]!), sizes: cells.map(cell => cell[2]!) }
}

function read(path: string): Trace | null {
  const form = FORMS.find(([pattern]) => pattern.test(basename(path)))
  if (form === undefined) return null
  const bytes = path.endsWith('.xz')
    ? execFileSync('xz', ['-dc', path], { maxBuffer: XZ_MAX_BYTES })
    : readFileSync(path)
  const { keys, sizes } = form[1](bytes)
  const ids = new Map<number, number>()
  const firstSizes: number[] = []
  const requests = new Uint32Array(keys.length)
  for (const [i, key] of keys.entries()) {
    let id = ids.get(key)
    if (id === undefined) {
      id = ids.size
      ids.set(key, id)
      if (sizes !== undefined) firstSizes.push(sizes[i]!)
    }
    requests[i] = id
  }
  const name = basename(path).replace(/(?:-request)?(?:\.trace)?(?:\.txt)?(?:\.xz)?$/, '')
  const sizeOf = sizes === undefined ? null : Float64Array.from(firstSizes)
  return { name, requests, sizes: sizeOf }
}

/** All known traces of a directory, or the one in a file, one after the other; others are passed over. */
export function* tracesAt(path: string): Generator<Trace> {
  const paths = statSync(path).isDirectory()
    ? readdirSync(path).map(name => join(path, name))
    : [path]
  for (const one of paths.sort()) {
    const trace = read(one)
    if (trace !== null) yield trace
  }
}

/** How many objects a trace has. */
export function objectsOf(trace: Trace): number {
  let most = -1
  for (const id of trace.requests) most = Math.max(most, id)
  return most + 1
}
