/**
 * Inside the VM: the same bytes stored on our device and on a zram device of the same size and algorithm, one after the other.
 *
 * Real data (data.ts), written and read once with dd in 128 KiB requests; read back and compared. Also stored and loaded through
 * the media alone, in this process: zram's way has no user space in it, our device's has, and this one has nothing else.
 * Prints one JSON object.
 */
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { request } from '../daemon/client.js'
import { benchMedia, openMedia } from '../ublk-native/index.js'
import { MIXTURES, SORTS } from './data.js'
import { type BenchDevice, KINDS } from './guest-devices.js'

const MIB = 1024 * 1024
const DATA_BYTES = 16 * MIB
const WARM_UP_BYTES = 2 * MIB
const REQUEST_BYTES = 128 * 1024
const SHAPE = { zones: 8, zoneMiB: 8, queues: 1 }
const SOURCE = '/tmp/zslab-bench-data'

export interface Stored {
  data: string
  algorithm: 'lz4' | 'zstd'
  device: 'zslab' | 'zram' | 'media'
  dataBytes: number
  mapBytes: number
  writeGBs: number
  readGBs: number
}

export interface ZramResult {
  kernel: string
  bytes: number
  stored: Stored[]
}

/** GB/s as dd itself measures: what starting the program takes is not in it. */
function dd(bytes: number, ...args: string[]): number {
  const size = `bs=${REQUEST_BYTES} count=${bytes / REQUEST_BYTES}`
  const script = `LC_ALL=C dd ${args.join(' ')} ${size} 2>&1`
  const said = execFileSync('sh', ['-c', script], { encoding: 'utf8' })
  const [, moved, seconds] = /(\d+) bytes.* copied, ([\d.e-]+) s/.exec(said) ?? []
  if (Number(moved) !== bytes) throw new Error(said)
  return bytes / Number(seconds) / 1e9
}

async function throughKernel(device: BenchDevice) {
  const into = [`if=${SOURCE}`, `of=${device.path}`, 'oflag=direct', 'conv=notrunc']
  // V8 compiles our worker's loop.
  dd(WARM_UP_BYTES, ...into)
  if (device.isZoned) execFileSync('blkzone', ['reset', device.path])
  const writeGBs = dd(DATA_BYTES, ...into)
  const readGBs = dd(DATA_BYTES, `if=${device.path}`, 'of=/dev/null', 'iflag=direct')
  execFileSync('cmp', ['-n', String(DATA_BYTES), SOURCE, device.path])
  const memory = await device.memory!()
  await device.remove()
  return { ...memory, writeGBs, readGBs }
}

function throughMedia(bytes: Uint8Array, compression: 'lz4' | 'zstd') {
  const media = openMedia({
    directory: null,
    bytes: SHAPE.zones * SHAPE.zoneMiB * MIB,
    regionBytes: SHAPE.zoneMiB * MIB,
    spareBytes: DATA_BYTES,
    sameFill: true,
    compression,
    compressionLevel: compression === 'zstd' ? 3 : 1,
    create: true,
  })
  const target = new Uint8Array(REQUEST_BYTES)
  const pass = (isOut: boolean) => DATA_BYTES / benchMedia(media, bytes, target, 0, isOut)
  const measured = { dataBytes: 0, mapBytes: 0, writeGBs: pass(false), readGBs: pass(true) }
  media.close()
  return measured
}

async function main(): Promise<void> {
  const stored: Stored[] = []
  const { filesystem } = MIXTURES
  for (const [data, make] of Object.entries({ ...SORTS, filesystem })) {
    const bytes = make(DATA_BYTES)
    if (bytes === null) throw new Error(`${data}: mkfs.ext4 is missing`)
    writeFileSync(SOURCE, bytes)
    for (const algorithm of ['lz4', 'zstd'] as const) {
      for (const device of ['zram', 'zslab'] as const) {
        const made = await KINDS[`${device}-${algorithm}`]!(SHAPE)
        stored.push({ data, algorithm, device, ...(await throughKernel(made)) })
      }
      stored.push({ data, algorithm, device: 'media', ...throughMedia(bytes, algorithm) })
      process.stderr.write(`${JSON.stringify(stored.slice(-3))}\n`)
    }
  }
  rmSync(SOURCE)
  await request('shutdown', {})
  const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()
  process.stdout.write(
    `${JSON.stringify({ kernel, bytes: DATA_BYTES, stored } satisfies ZramResult)}\n`,
  )
}

if (process.argv[1] === new URL(import.meta.url).pathname) await main()
