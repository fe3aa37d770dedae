/**
 * The data that benches store: five plain sorts, and mixtures of them as real devices see them.
 *
 * Guarantees: whole pages of 4 KiB, as many bytes as asked for; the same each time, but for what is read from files of this
 * machine (`binary` is the node program, `filesystem` is made by mkfs.ext4 where there is one).
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

const PAGE_BYTES = 4096
const ROOT = new URL('../../', import.meta.url).pathname
const TEXTS = ['README.md', 'docs/BOUNDARY.md', 'docs/ARCHITECTURE.md', 'docs/OPERATIONS.md']

/** xorshift32. */
export function generator(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

/** Of what every Node has, and its types leave out. */
declare const WebAssembly: {
  Memory: new (pages: { initial: number }) => { buffer: ArrayBuffer }
}

/**
 * Zeros that begin on a page, as the kernel's and the media's buffers do (other typed arrays begin anywhere, which costs wide
 * stores up to a third of their speed). A WebAssembly memory is the one that says where it begins.
 */
export function alignedBytes(bytes: number): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) })
  return new Uint8Array(memory.buffer, 0, bytes)
}

export function randomBytes(bytes: number): Uint8Array {
  const next = generator(2463534242)
  return new Uint8Array(new Uint32Array(bytes / 4).map(next).buffer)
}

/** The bytes over and over. */
function repeated(source: Uint8Array, bytes: number): Uint8Array {
  const target = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += source.length) target.set(source.subarray(0, bytes - at), at)
  return target
}

const textBytes = (bytes: number): Uint8Array =>
  repeated(Buffer.concat(TEXTS.map(path => readFileSync(ROOT + path))), bytes)

/** Pages of `a` and `b` in turns, each turn as long as `turn` says. */
function inTurns(a: Uint8Array, b: Uint8Array, turn: () => number): Uint8Array {
  const target = new Uint8Array(a.length)
  for (let at = 0, source = a; at < a.length; source = source === a ? b : a) {
    const end = Math.min(at + turn() * PAGE_BYTES, a.length)
    target.set(source.subarray(at, end), at)
    at = end
  }
  return target
}

/** An ext4 of our own program, texts and compressed texts; null without mkfs.ext4. */
function filesystem(bytes: number): Uint8Array | null {
  const folder = mkdtempSync(join(tmpdir(), 'zslab-bench-'))
  try {
    const files = join(folder, 'files')
    mkdirSync(files)
    for (const name of [
      'dist/daemon',
      'dist/zone-model',
      'docs',
      'build/ublk.node',
      'package-lock.json',
    ])
      cpSync(ROOT + name, join(files, name.replace('/', '-')), { recursive: true })
    writeFileSync(
      join(files, 'packed.gz'),
      gzipSync(readFileSync(process.execPath).subarray(0, bytes / 4)),
    )
    const image = join(folder, 'image')
    const args = ['-q', '-b', '4096', '-d', files, image, `${bytes / 1024}k`]
    execFileSync('mkfs.ext4', args, { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } })
    return new Uint8Array(readFileSync(image))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return null
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Each makes so many bytes (a multiple of 1 MiB), or null where this machine lacks what it takes. */
export const SORTS = {
  zeros: (bytes: number) => new Uint8Array(bytes),
  'same-fill': (bytes: number) => new Uint8Array(bytes).fill(0xa5),
  text: textBytes,
  binary: (bytes: number) => repeated(readFileSync(process.execPath).subarray(0, bytes), bytes),
  random: randomBytes,
} as const

export const MIXTURES = {
  /** One page of each. */
  alternating: (bytes: number) => inTurns(textBytes(bytes), randomBytes(bytes), () => 1),
  /** 1 to 64 pages of each. */
  runs: (bytes: number) => {
    const next = generator(88675123)
    return inTurns(textBytes(bytes), randomBytes(bytes), () => 1 + (next() % 64))
  },
  filesystem,
} as const
