/**
 * How the store's benches run: options, one child process a measurement on a core of its own, and what they say of the machine.
 *
 * A bench file is its own child: `inChild` starts the same file with `--child JOB`, and the child answers with one line of JSON.
 * So every measurement begins with a fresh heap, and nothing that was measured before it moves its figures.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** Above this many runnable processes a core, wall times are mostly other people's. */
const LOAD_A_CORE_MAX = 0.5
const ANSWER = '@answer '

export interface BenchOptions {
  readonly objects: number
  readonly rounds: number
  /** 10 million objects as well. */
  readonly large: boolean
  readonly json: boolean
}

/** Of the command line, which every bench of the store takes alike; exits with code 2 when it is wrong. */
export function benchOptions(objects: number): BenchOptions {
  try {
    const { values } = parseArgs({
      options: {
        objects: { type: 'string', default: String(objects) },
        rounds: { type: 'string', default: '5' },
        large: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const count = Number(values.objects)
    const rounds = Number(values.rounds)
    if (!(count >= 1000 && rounds >= 1)) throw new Error('--objects is 1000 or more, --rounds 1')
    return { objects: count, rounds, large: values.large, json: values.json }
  } catch (error) {
    console.error(`${(error as Error).message} (--objects N --rounds N --large --json)`)
    process.exit(2)
  }
}

/** What to do when this process is a child: the job as `inChild` was given it; undefined in the parent. */
export function childJob<Job>(): Job | undefined {
  const at = process.argv.indexOf('--child')
  return at < 0 ? undefined : (JSON.parse(process.argv[at + 1]!) as Job)
}

/** Of a child: its result, for the parent. */
export function answer(result: unknown): void {
  process.stdout.write(`${ANSWER}${JSON.stringify(result)}\n`)
}

/** Whether `taskset` is there: then a child has the last core for itself, as far as we go. */
export const canPin = ['/usr/bin/taskset', '/bin/taskset'].some(path => existsSync(path))
const core = String(os.cpus().length - 1)

/** Starts a program on the core of the measured; `variables` are added to the environment. */
export function startPinned(
  program: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): ChildProcess {
  const line = canPin ? ['taskset', '-c', core, program, ...args] : [program, ...args]
  const env = { ...process.env, ...variables }
  return spawn(line[0]!, line.slice(1), { stdio: ['ignore', 'pipe', 'inherit'], env })
}

export const nodeArgs = (script: string, job: unknown): string[] => [
  ...['--expose-gc', '--max-old-space-size=8192', script, '--child', JSON.stringify(job)],
]

/** The answer of a child. @throws Error when it ends without one */
export function answerOf<Result>(child: ChildProcess): Promise<Result> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (part: Buffer) => {
      text += part
      const line = text
        .split('\n')
        .find((one, i, all) => one.startsWith(ANSWER) && i < all.length - 1)
      if (line !== undefined) resolve(JSON.parse(line.slice(ANSWER.length)) as Result)
    })
    child.on('error', reject)
    child.on('close', code => reject(new Error(`a measured process ended with ${code}: ${text}`)))
  })
}

/** Runs `job` in a process of its own. */
export function inChild<Result>(
  script: string,
  job: unknown,
  variables: Readonly<Record<string, string>> = {},
): Promise<Result> {
  return answerOf(startPinned(process.execPath, nodeArgs(script, job), variables))
}

/** The same, of a job that would go on after its answer: it gets SIGKILL. */
export async function inChildUntilKilled<Result>(script: string, job: unknown): Promise<Result> {
  const child = startPinned(process.execPath, nodeArgs(script, job))
  const result = await answerOf<Result>(child)
  child.kill('SIGKILL')
  await ended(child)
  return result
}

export const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise(resolve => child.on('close', () => resolve()))

/** A folder for a peer's files; memory (tmpfs) where there is one, unless a disk is asked for. */
export function workFolder(kind: 'memory' | 'disk'): string {
  const isThere = kind === 'memory' && existsSync('/dev/shm')
  return mkdtempSync(join(isThere ? '/dev/shm' : os.tmpdir(), 'zslab-bench-'))
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Bytes of this process (or of `pid`) that are in memory, exactly where the kernel tells. */
export function residentBytes(pid: number | 'self' = 'self'): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    return Number(/^Rss:\s+(\d+) kB/m.exec(text)![1]) * 1024
  } catch (error) {
    if (pid !== 'self') throw error
    return process.memoryUsage.rss()
  }
}

/** Bytes that a process gave to write calls, and those of them that are for a disk. Null without /proc. */
export function writtenBytes(
  pid: number | 'self' = 'self',
): { calls: number; disk: number } | null {
  try {
    const text = readFileSync(`/proc/${pid}/io`, 'latin1')
    const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)![1])
    return { calls: of('wchar'), disk: of('write_bytes') }
  } catch {
    return null
  }
}

/** The machine, for the head of a table. */
export function machine(): {
  cpu: string
  cores: number
  node: string
  load: number
  pinned: boolean
} {
  const [load] = os.loadavg()
  const cpu = os.cpus()[0]?.model ?? 'unknown'
  return { cpu, cores: os.cpus().length, node: process.version, load: load!, pinned: canPin }
}

/** The head of a table: what is measured, where, and what makes it doubtful. */
export function printHead(title: string, options: BenchOptions): void {
  const { cpu, cores, node, load, pinned } = machine()
  console.log(`\n${title}`)
  console.log(
    `${cores} x ${cpu}, node ${node}, medians of ${options.rounds}, load ${load.toFixed(1)}`,
  )
  if (load > cores * LOAD_A_CORE_MAX) {
    console.log(
      `WARNING: load average ${load.toFixed(1)} on ${cores} cores: others were running. Trust CPU times and ratios, not wall times.`,
    )
  }
  if (!pinned) console.log('WARNING: no taskset: the measured process was not kept on one core.')
}
