/**
 * `zslab trace replay`: the whole file is read and checked, then the device, then the requests are given, then all is compared.
 */
import type { ZonedDisk, ZoneState } from '../daemon/client.js'
import type { Io } from './io.js'
import { EXIT_FAILED, ExitCode, printResult } from './output.js'
import { Replay, type ReplayOptions } from './replay.js'
import { bringToStart, checkLayout, checkZones } from './replay-start.js'
import { ReplayZones } from './replay-zones.js'
import { formatCount } from './table.js'
import {
  type Comparison,
  compareZones,
  DifferenceCounter,
  formatComparison,
  isSame,
} from './trace-compare.js'
import { readTrace, TraceError, type TraceFooter, type TraceHeader } from './trace-file.js'

export interface ReplayArguments extends ReplayOptions {
  path: string
  file: string
  reset: boolean
  force: boolean
  json: boolean
}

/** Longest request: what no kernel makes must not become memory. */
const SECTORS_MAX = 32 * 1024
const PROGRESS_MS = 500

/** What the first pass over a file finds. */
export interface TraceSummary {
  header: TraceHeader
  zones: ZoneState[]
  footer: TraceFooter | null
  requests: number
  maxSectors: number
  writesConventional: boolean
}

const MOVES: readonly string[] = ['read', 'write', 'append']
const CHANGES: readonly string[] = ['write', 'append', 'write-zeroes', 'discard']

/** Reads the file to its end. Throws TraceError for a line that is not as it must be. */
export async function checkTrace(
  file: string,
  zonesOfRuns: (runs: NonNullable<TraceFooter['zones']>) => ZoneState[],
): Promise<TraceSummary> {
  let header: TraceHeader | null = null
  let zones: ZoneState[] = []
  let footer: TraceFooter | null = null
  let requests = 0
  let maxSectors = 0
  let writesConventional = false
  for await (const line of readTrace(file)) {
    if (line.kind === 'header') header = line.header
    else if (line.kind === 'zones') zones = zonesOfRuns(line.zones)
    else if (line.kind === 'end') footer = line.footer
    else {
      requests++
      const { op, zone = 0, sectors = 0 } = line.request
      if (MOVES.includes(op)) maxSectors = Math.max(maxSectors, sectors)
      if (maxSectors > SECTORS_MAX)
        throw new TraceError(
          `${file}:${line.line}: sectors ${sectors}: expected at most ${SECTORS_MAX}`,
        )
      if (CHANGES.includes(op) && zone < header!.device.conventional) writesConventional = true
    }
  }
  return { header: header!, zones, footer, requests, maxSectors, writesConventional }
}

/** Throws TraceError: the device is another kind, or something is on it. */
async function prepare(
  disk: ZonedDisk,
  trace: TraceSummary,
  tracker: ReplayZones,
  { file, reset, force, seed }: ReplayArguments,
): Promise<void> {
  const lost = trace.footer?.end.lost ?? 0
  if (!force) {
    checkLayout(trace.header.device, disk)
    if (lost > 0) {
      const message = `${file}: ${lost} requests were lost while it was recorded, so that results will differ: --force replays it anyway`
      throw new TraceError(message)
    }
    if (trace.writesConventional && !reset) {
      const message = `${file} writes to conventional zones, and nobody can tell whether ${disk.path} has data there: --reset allows it`
      throw new TraceError(message)
    }
  }
  if (reset) {
    await bringToStart(disk, trace.zones, seed, (sector, sectors) =>
      tracker.note('write', sector, sectors, sectors * 512),
    )
  }
  if (!force) checkZones(trace.zones, await disk.report())
}

/** One line on a terminal that is drawn over. */
class Progress {
  readonly #io: Io
  readonly #total: number
  #shownMs: number
  #isShown = false

  constructor(io: Io, total: number) {
    this.#io = io
    this.#total = total
    this.#shownMs = io.nowMs()
  }

  show(done: number): void {
    const now = this.#io.nowMs()
    if (now - this.#shownMs < PROGRESS_MS) return
    this.#shownMs = now
    this.#isShown = true
    const percent = Math.floor((done / this.#total) * 100)
    this.#io.err(`\r${formatCount(done)} of ${formatCount(this.#total)} requests, ${percent}%`)
  }

  end(): void {
    if (this.#isShown) this.#io.err('\r\u001b[K')
  }
}

async function run(
  io: Io,
  disk: ZonedDisk,
  trace: TraceSummary,
  wanted: ReplayArguments,
): Promise<Comparison> {
  const client = await io.client()
  const { errnoName } = await client.traceTools()
  const tracker = new ReplayZones(disk.layout, await disk.report(), wanted.seed)
  await prepare(disk, trace, tracker, wanted)
  const counter = new DifferenceCounter(errnoName)
  const { zoneSize } = trace.header.device
  const { maxSectors } = trace
  const interruption = io.interruption()
  let isOver = false
  void interruption.done.then(() => {
    isOver = true
  })
  const progress = io.outIsTerminal && !wanted.json ? new Progress(io, trace.requests) : null
  const replay = new Replay(disk, tracker, counter, wanted, io, { maxSectors, zoneSize })
  const beganMs = io.nowMs()
  let interrupted = false
  try {
    for await (const line of readTrace(wanted.file)) {
      if (line.kind !== 'request') continue
      interrupted = isOver || !(await replay.take(line.line, line.request))
      if (interrupted) break
      progress?.show(replay.requests)
    }
    await replay.drain()
  } finally {
    interruption.cancel()
    progress?.end()
  }
  const seconds = (io.nowMs() - beganMs) / 1000
  const end = trace.footer?.zones
  const zones =
    end === undefined || interrupted
      ? null
      : compareZones(client.zonesOfRuns(end), await disk.report())
  const { same, different, differences } = counter
  const { requests, skipped, checkedReads } = replay
  return {
    ...{ trace: wanted.file, device: disk.path, requests, same, different, skipped, checkedReads },
    ...{ seconds, differences, zones, interrupted },
  }
}

/** Prints the comparison. Ends with exit code 1 when anything differs. */
export async function replay(io: Io, wanted: ReplayArguments): Promise<void> {
  const client = await io.client()
  const trace = await checkTrace(wanted.file, client.zonesOfRuns)
  const disk = await client.openZonedDisk(wanted.path)
  try {
    const comparison = await run(io, disk, trace, wanted)
    printResult(io, wanted.json, comparison, () => formatComparison(comparison))
    if (!isSame(comparison)) throw new ExitCode(EXIT_FAILED)
  } finally {
    await disk.close()
  }
}
