/**
 * `zslab trace record|replay`: requests as NDJSON, and the same requests given to another zoned device (docs/TRACE.md).
 */
import type { Command } from 'commander'
import { type CommonOptions, finishVerb, parseDevice, parseInteger } from './arguments.js'
import type { Io } from './io.js'
import { UsageError } from './output.js'
import { record } from './trace-record.js'
import { replay } from './trace-replay.js'

const SPEED_MAX = 1000
const DEPTH_MAX = 64
const SEED_MAX = 2 ** 32 - 1
const SECONDS_MAX = 366 * 24 * 3600

interface RecordFlags extends CommonOptions {
  output?: string
  seconds?: string
  count?: string
}

function whole(name: string, text: string | undefined, max: number, fallback: number): number {
  return text === undefined ? fallback : parseInteger(name, text, 1, max)
}

async function recordVerb(io: Io, dev: string, flags: RecordFlags): Promise<void> {
  const { output, json = false } = flags
  const options = {
    id: parseDevice(dev),
    output: output ?? null,
    seconds: whole('--seconds', flags.seconds, SECONDS_MAX, Number.POSITIVE_INFINITY),
    count: whole('--count', flags.count, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY),
    json,
  }
  if (json && output === undefined) {
    throw new UsageError('--json without --output: the requests are on stdout; give --output FILE')
  }
  await record(io, options)
}

interface ReplayFlags extends CommonOptions {
  speed?: string
  depth?: string
  check?: boolean
  seed?: string
  reset?: boolean
  force?: boolean
}

/** "max" → Infinity; "0.5" → 0.5. */
export function parseSpeed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY
  const speed = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (speed > 0 && speed <= SPEED_MAX) return speed
  throw new UsageError(
    `--speed ${text}: expected max, or a number above 0 and up to ${SPEED_MAX}: 1 is as recorded`,
  )
}

/** "0" and "ublkb0" → "/dev/ublkb0"; a path stays one. */
export function parseDisk(text: string): string {
  if (/^\d+$/.test(text)) return `/dev/ublkb${parseDevice(text)}`
  return text.includes('/') ? text : `/dev/${text}`
}

async function replayVerb(io: Io, dev: string, file: string, flags: ReplayFlags): Promise<void> {
  await replay(io, {
    path: parseDisk(dev),
    file,
    speed: parseSpeed(flags.speed ?? 'max'),
    depth: whole('--depth', flags.depth, DEPTH_MAX, 1),
    check: flags.check !== false,
    seed: flags.seed === undefined ? 1 : parseInteger('--seed', flags.seed, 0, SEED_MAX),
    reset: flags.reset === true,
    force: flags.force === true,
    json: flags.json === true,
  })
}

export function registerTrace(command: Command, io: Io): void {
  const recording = command
    .command('record')
    .argument('<DEV>', 'number or path of a device of zslab')
    .option('--output <file>', 'write to a file (default: stdout)')
    .option('--seconds <n>', 'end after so long (default: at Ctrl-C)')
    .option('--count <n>', 'end after so many requests')
    .description('write every request to a device, with its result, as a line of JSON')
    .action((dev, flags) => recordVerb(io, dev, flags))
  finishVerb(recording, [
    'zslab trace record 0 --output fio.ndjson',
    'zslab trace record 0 --seconds 10 | grep append',
  ])
  const replaying = command
    .command('replay')
    .argument('<DEV>', 'number or path of any zoned block device: ours, null_blk, a ZNS drive')
    .argument('<FILE>', 'what `zslab trace record` wrote')
    .option('--speed <x>', '1: as it was recorded, 2: twice as fast, max: at once (default: max)')
    .option('--depth <n>', `at most so many requests at once, 1 to ${DEPTH_MAX} (default: 1)`)
    .option('--check', 'compare what is read with what the replay wrote (default)')
    .option('--no-check', 'do not compare it')
    .option('--seed <n>', 'of what is written (default: 1)')
    .option('--reset', 'reset all zones and bring them to where the trace begins: DESTROYS data')
    .option('--force', 'go on where the device or its zones are not as in the trace')
    .description('give the requests of a trace to a device, and compare the results')
    .action((dev, file, flags) => replayVerb(io, dev, file, flags))
  finishVerb(replaying, [
    'zslab trace replay /dev/nullb0 fio.ndjson --reset',
    'zslab trace replay 1 fio.ndjson --speed 1 --json',
  ])
}
