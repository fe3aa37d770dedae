/**
 * The tour: a device is made, reported, written by fio with verification, measured and deleted, each command echoed with
 * its output.
 *
 * Every step runs in this process (but fio): in an emulated VM a start of node costs seconds. Guarantees: the device is
 * deleted whatever fails, and a daemon that the tour started is ended.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { DeviceInfo } from '../daemon/client.js'
import { isDaemonRunning } from './ask.js'
import type { Io } from './io.js'
import { EXIT_DONE, EXIT_FAILED } from './output.js'
import type { Run } from './program.js'
import { packageRoot } from './version.js'

/** One step as it is told with --json. */
export interface TourStep {
  command: string
  code: number
  ms: number
  output: string
  /** Why it was not run; absent when it was. */
  skipped?: string
}

export interface TourResult {
  ok: boolean
  steps: TourStep[]
}

/** Small enough for an emulated machine, and with limits that show. */
const GEOMETRY = ['--zones', '16', '--zone-size', '16M', '--max-open', '4', '--max-active', '6']

/** Runs another program; its output, and its code or null when it is not installed. */
export type RunProgram = (
  program: string,
  args: readonly string[],
) => Promise<{ code: number | null; output: string }>

/** stdout and stderr in one, as on a terminal. */
export const runProgram: RunProgram = (program, args) =>
  new Promise(resolve => {
    const chunks: Buffer[] = []
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    const end = (code: number | null): void =>
      resolve({ code, output: Buffer.concat(chunks).toString() })
    child.once('error', (error: NodeJS.ErrnoException) => {
      chunks.push(Buffer.from(`${error.message}\n`))
      end(error.code === 'ENOENT' ? null : EXIT_FAILED)
    })
    child.once('close', code => end(code ?? EXIT_FAILED))
  })

/** Keeps what a verb writes, and shows none of it. */
function quietIo(io: Io): { io: Io; output: () => string } {
  let output = ''
  const keep = (text: string): void => {
    output += text
  }
  return { io: { ...io, outIsTerminal: false, out: keep, err: keep }, output: () => output }
}

export interface TourOptions {
  io: Io
  /** Say nothing while it runs: the caller prints the result. */
  quiet: boolean
  runVerb: Run
  runProgram: RunProgram
}

class Tour {
  readonly steps: TourStep[] = []
  isInterrupted = false
  readonly #options: TourOptions

  constructor(options: TourOptions) {
    this.#options = options
  }

  get ok(): boolean {
    return this.steps.every(({ code }) => code === EXIT_DONE)
  }

  /** Echo, run, show. `act` gives the code (null: not installed) and the output. */
  async step(
    command: string,
    act: () => Promise<{ code: number | null; output: string }>,
  ): Promise<TourStep> {
    const { io, quiet } = this.#options
    if (!quiet) io.out(`$ ${command}\n`)
    const start = io.nowMs()
    const { code, output } = await act()
    const ms = Math.round(io.nowMs() - start)
    const step: TourStep = { command, code: code ?? EXIT_DONE, ms, output }
    if (code === null) {
      step.skipped = 'not installed (sudo apt-get install -y fio)'
      step.output = ''
    }
    this.steps.push(step)
    if (!quiet) {
      const tail = step.skipped === undefined ? step.output : `skipped: ${step.skipped}\n`
      io.out(`${tail}${step.code === EXIT_DONE ? '' : `(failed with exit code ${step.code})\n`}\n`)
    }
    return step
  }

  verb(argv: readonly string[]): Promise<TourStep> {
    return this.step(`zslab ${argv.join(' ')}`, async () => {
      const { io, output } = quietIo(this.#options.io)
      const code = await this.#options.runVerb(argv, io)
      return { code, output: output() }
    })
  }

  fio(path: string): Promise<TourStep> {
    const job = 'fio-jobs/seq-write-verify.fio'
    const args = [`--filename=${path}`, '--output-format=terse', '--terse-version=3']
    return this.step(`fio --filename=${path} ${job}`, async () => {
      const { code, output } = await this.#options.runProgram('fio', [
        ...args,
        join(packageRoot(), job),
      ])
      if (code !== EXIT_DONE) return { code, output }
      return { code, output: `${summarizeFio(output)}\n` }
    })
  }
}

/** What fio's terse line says about a run that went well. Fields: man fio, TERSE OUTPUT (version 3). */
function summarizeFio(terse: string): string {
  const fields = terse.trim().split('\n').at(-1)!.split(';')
  const [readKib, writeKib] = [Number(fields[5]), Number(fields[46])]
  return `written ${writeKib} KiB, read back and verified ${readKib} KiB, no errors`
}

async function deviceOf(io: Io, id: string): Promise<DeviceInfo> {
  const client = await io.client()
  return client.request('device.show', { id: Number(id) })
}

/** What is done with a device that was made, until somebody wants an end. */
async function visit(tour: Tour, io: Io, id: string): Promise<void> {
  const { path } = await deviceOf(io, id)
  const stops = [
    () => tour.verb(['zone', 'report', id, '--first', '4', '--count', '4']),
    () => tour.fio(path),
    () => tour.verb(['zone', 'report', id, '--first', '4', '--count', '4']),
    () => tour.verb(['stats', id]),
  ]
  for (const stop of stops) {
    if (tour.isInterrupted) return
    await stop()
  }
}

/** The whole tour. What a step does wrong is in the result; rejects only when the daemon cannot be asked. */
export async function runTour(options: TourOptions): Promise<TourResult> {
  const client = await options.io.client()
  const wasRunning = await isDaemonRunning(client)
  const tour = new Tour(options)
  const interruption = options.io.interruption()
  void interruption.done.then(signalled => {
    tour.isInterrupted = signalled
  })
  try {
    const creation = await tour.verb(['device', 'create', ...GEOMETRY])
    const id = /ublkb(\d+)/.exec(creation.output)?.[1]
    if (creation.code === EXIT_DONE && id !== undefined) {
      try {
        await visit(tour, options.io, id)
      } finally {
        await tour.verb(['device', 'delete', id])
      }
    }
    if (!wasRunning && (await isDaemonRunning(client))) await client.request('shutdown', {})
  } finally {
    interruption.cancel()
  }
  return { ok: tour.ok && !tour.isInterrupted, steps: tour.steps }
}
