/**
 * `zslab trace record`: from the daemon's rings to NDJSON.
 *
 * The command asks for what came, writes it, and asks again: when stdout or the disk is slow it asks less often, the rings fill,
 * and what finds no room is counted. Nothing in the device ever waits for it. However it ends, the recording ends with it.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { Connection, TraceEnd, TraceEntry, TraceStart } from '../daemon/client.js'
import { ask } from './ask.js'
import type { Interruption, Io } from './io.js'
import { printJson, UsageError } from './output.js'
import { plural } from './table.js'
import { TRACE_VERSION, type TraceFooter, type TraceHeader, toRequest } from './trace-file.js'
import { type QueuedEntry, TraceMerge } from './trace-merge.js'

/** How long to wait when nothing much came: well below the time in which a ring fills. */
const POLL_MS = 40
/** A batch of this many is followed by the next at once. */
const BUSY_BATCH = 2000
const SECTOR_BYTES = 512

export interface RecordOptions {
  id: number
  /** null: stdout. */
  output: string | null
  seconds: number
  count: number
  json: boolean
}

export interface Recorded {
  id: number
  file: string | null
  requests: number
  lost: number
  seconds: number
}

/** Where lines go: a file, or stdout. Both take their time. */
class Sink {
  readonly #io: Io
  readonly #file: FileHandle | null

  private constructor(io: Io, file: FileHandle | null) {
    this.#io = io
    this.#file = file
  }

  /** Throws UsageError when the file cannot be made. */
  static async open(io: Io, path: string | null): Promise<Sink> {
    try {
      return new Sink(io, path === null ? null : await open(path, 'w'))
    } catch (error) {
      throw new UsageError(`--output ${path}: ${(error as Error).message}`)
    }
  }

  async write(lines: readonly object[]): Promise<void> {
    if (lines.length === 0) return
    const text = `${lines.map(line => JSON.stringify(line)).join('\n')}\n`
    if (this.#file !== null) return void (await this.#file.writeFile(text))
    this.#io.out(text)
    await this.#io.drained()
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}

function headerOf(start: TraceStart): TraceHeader {
  return {
    zslabTrace: TRACE_VERSION,
    device: start.device,
    kernel: start.kernel,
    started: new Date(start.startedMs).toISOString(),
    ...(start.isBusy ? { busy: true } : {}),
  }
}

/** Writes requests until there are enough. */
class Writer {
  readonly #sink: Sink
  readonly #zoneSectors: number
  readonly #count: number
  written = 0
  /** Requests that came after there were enough. */
  left = 0

  constructor(sink: Sink, start: TraceStart, count: number) {
    this.#sink = sink
    this.#zoneSectors = start.device.zoneSize / SECTOR_BYTES
    this.#count = count
  }

  get isFull(): boolean {
    return this.written >= this.#count
  }

  async write(entries: readonly QueuedEntry[]): Promise<void> {
    const taken = entries.slice(0, this.#count - this.written)
    this.left += entries.length - taken.length
    this.written += taken.length
    await this.#sink.write(
      taken.map(({ entry, queue }) => toRequest(entry, queue, this.#zoneSectors)),
    )
  }
}

/** Reads and writes until the end that was asked for, or Ctrl-C. Gives the daemon's last word. */
async function stream(
  io: Io,
  connection: Connection,
  writer: Writer,
  merge: TraceMerge,
  { id, seconds }: RecordOptions,
  interruption: Interruption,
): Promise<TraceEnd> {
  let isOver = false
  void interruption.done.then(() => {
    isOver = true
  })
  const endMs = io.nowMs() + seconds * 1000
  while (!isOver && !writer.isFull && io.nowMs() < endMs) {
    const entries = merge.add(await connection.request('trace.read', { id }))
    await writer.write(entries)
    if (entries.length >= BUSY_BATCH || writer.isFull) continue
    if (!(await io.wait(Math.min(POLL_MS, Math.max(0, endMs - io.nowMs()))))) isOver = true
  }
  return await connection.request('trace.stop', { id })
}

/** Rejects with DaemonError when the device or its daemon goes: what was written until then is there, without an end. */
export async function record(io: Io, options: RecordOptions): Promise<void> {
  const { id, output } = options
  const client = await io.client()
  // A daemon that died left its devices to the next one.
  await ask(io, 'device.show', { id })
  const { decodeEntries } = await client.traceTools()
  const sink = await Sink.open(io, output)
  try {
    await recordTo(io, sink, options, decodeEntries)
  } finally {
    await sink.close()
  }
}

async function recordTo(
  io: Io,
  sink: Sink,
  options: RecordOptions,
  decode: (base64: string) => TraceEntry[],
): Promise<void> {
  const { id, output, json } = options
  const connection = await (await io.client()).connect()
  // From before there is anything to end: what was recorded until a Ctrl-C gets its last line.
  const interruption = io.interruption()
  try {
    const start = await connection.request('trace.start', { id })
    const beganMs = io.nowMs()
    await sink.write([headerOf(start), { zones: start.zones }])
    if (!json) io.err(`recording ${start.device.path}; Ctrl-C ends it\n`)
    const merge = new TraceMerge(decode)
    const writer = new Writer(sink, start, options.count)
    const end = await stream(io, connection, writer, merge, options, interruption)
    await writer.write(merge.add(end))
    const seconds = Math.round(io.nowMs() - beganMs) / 1000
    const { lost } = end
    const footer: TraceFooter = { end: { requests: writer.written, lost, seconds } }
    // With requests left out, the zones are not as after the last line.
    if (writer.left === 0) footer.zones = end.zones
    await sink.write([footer])
    const recorded: Recorded = { id, file: output, requests: writer.written, lost, seconds }
    if (json) printJson(io, recorded)
    else
      io.err(`${plural(recorded.requests, 'request')} in ${seconds.toFixed(1)} s, ${lost} lost\n`)
  } finally {
    interruption.cancel()
    connection.close()
  }
}
