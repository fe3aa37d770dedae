/**
 * Runs one command in a throwaway VM, as if it ran here: the host's own programs and files, its output on our output, its
 * exit code ours; but root, and on a kernel that has ublk.
 *
 * Life of a run: kernel from the cache → initramfs → sockets → QEMU → "up" → the command → its output's end marks and
 * "exit" → QEMU is killed. Nothing has to be shut down: what the guest wrote was in its memory.
 * Guarantees: the output is complete and binary-clean, stdout and stderr apart; the promise settles whatever the guest does (panic,
 * hang, QEMU missing); no process and no file is left, by Ctrl-C neither; folders of killed runs are swept by the next.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { VmError } from './errors.js'
import { buildInitramfs, type GuestPlan } from './initramfs.js'
import { kernelWarnings, logTail } from './kernel-log.js'
import { DEFAULT_SERIES, ensureKernel } from './kernels.js'
import { type Accelerator, kvmWorks, qemuArguments } from './qemu.js'
import { findProgram, findStaticBusybox, vmRequirements } from './requirements.js'
import { openWires, type Wires } from './wires.js'

const BOOT_MS = 180_000

export interface VmOptions {
  /** One of KERNEL_SERIES; DEFAULT_SERIES when not given. */
  kernel?: string
  /** Program and arguments, found by the guest in our PATH. Empty: a shell. */
  command: readonly string[]
  cpus?: number
  memoryMiB?: number
  /** Count instructions instead of time: one CPU, virtual time of 1 ns an instruction. */
  icount?: boolean
  /** A terminal in the guest on this process's terminal. Needs process.stdin to be one. */
  interactive?: boolean
  /** What the command reads when not interactive. Default 'ignore'. */
  stdin?: 'ignore' | 'inherit'
  /** Added to PATH, LANG, TERM, HOME=/root and ZSLAB_VM=1. */
  env?: Readonly<Record<string, string>>
  /** A folder of the host; the guest sees the same. Default: ours. */
  cwd?: string
  /** From the start of the command. Default: none. */
  timeoutMs?: number
  /** Folder of the host that the guest finds, writable, at /run/zslab-out. Made if it is not there. */
  outputFolder?: string
  /** Where to keep the guest's kernel log. Default: it is thrown away (its warnings are in the result). */
  kernelLog?: string
  /** Where output goes; by default ours. */
  stdout?: NodeJS.WritableStream
  stderr?: NodeJS.WritableStream
}

export interface VmResult {
  /** The command's exit code; 128 + n if signal n ended it. */
  readonly code: number
  /** Lines of the guest's kernel log that no healthy run leaves: see kernelWarnings(). */
  readonly dmesgWarnings: readonly string[]
  /** Milliseconds from the start of QEMU to the start of the command. */
  readonly bootMs: number
  readonly accelerator: Accelerator
  /** As in `uname -r`. */
  readonly release: string
}

/**
 * Runs `options.command` in a VM and waits for its end. A command that fails is a result; a VM that fails throws VmError
 * (every code of errors.ts).
 */
export async function runInVm(options: VmOptions): Promise<VmResult> {
  const { missing } = vmRequirements()
  if (missing.length > 0) {
    const programs = missing.map(entry => entry.program).join(', ')
    const packages = missing.map(entry => entry.package).join(' ')
    throw new VmError(
      'ERR_VM_REQUIREMENTS',
      `The VM needs ${programs}. Install with: sudo apt-get install -y --no-install-recommends ${packages}`,
    )
  }
  const kernel = await ensureKernel(options.kernel ?? DEFAULT_SERIES)
  const qemu = findProgram('qemu-system-x86_64')!
  const busybox = findStaticBusybox()!
  const accelerator = options.icount
    ? 'icount'
    : (await kvmWorks(kernel, qemu, busybox))
      ? 'kvm'
      : 'tcg'
  await sweep()
  const folder = await mkdtemp(join(tmpdir(), `zslab-vm-${process.pid}-`))
  try {
    const plan = guestPlan(options)
    const initramfs = join(folder, 'initramfs')
    await writeFile(initramfs, await buildInitramfs(kernel, busybox, plan))
    if (options.outputFolder !== undefined) await mkdir(options.outputFolder, { recursive: true })
    const args = qemuArguments({
      accelerator,
      cpus: options.cpus ?? 2,
      memoryMiB: options.memoryMiB ?? defaultMemoryMiB(),
      vmlinuz: join(kernel.folder, 'vmlinuz'),
      initramfs,
      socketFolder: folder,
      kernelLog: join(folder, 'kernel.log'),
      interactive: plan.interactive,
      outputFolder: options.outputFolder === undefined ? undefined : resolve(options.outputFolder),
    })
    const run = await session(options, plan, folder, qemu, args)
    const log = await readFile(join(folder, 'kernel.log'), 'latin1')
    const release = kernel.manifest.release
    return { ...run, dmesgWarnings: kernelWarnings(log), accelerator, release }
  } finally {
    await keepLog(folder, options.kernelLog)
    await rm(folder, { recursive: true, force: true })
  }
}

function defaultMemoryMiB(): number {
  return Math.min(4096, Math.floor((totalmem() / 1048576) * 0.6))
}

function guestPlan(options: VmOptions): GuestPlan {
  const passed = [
    'PATH',
    'LANG',
    'LC_ALL',
    'TZ',
    'TERM',
    'COLORTERM',
    'NO_COLOR',
    'FORCE_COLOR',
    'CI',
  ]
  const env: Record<string, string> = {
    HOME: '/root',
    USER: 'root',
    LOGNAME: 'root',
    ZSLAB_VM: '1',
  }
  for (const name of passed) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  const path = env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'
  env['PATH'] = `/run/zslab/bin:${path}:/usr/local/sbin:/usr/sbin:/sbin`
  return {
    command: options.command,
    cwd: options.cwd ?? process.cwd(),
    env: { ...env, ...options.env },
    interactive: options.interactive ?? false,
    hasStdin: options.stdin === 'inherit',
    hasOutput: options.outputFolder !== undefined,
    nonce: randomBytes(12).toString('hex'),
    rows: process.stdout.rows ?? 24,
    columns: process.stdout.columns ?? 80,
  }
}

/** Folders of runs whose process was killed before it could tidy up. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(/^zslab-vm-(\d+)-/.exec(name)?.[1])
    if (!(pid > 0) || pid === process.pid) continue
    try {
      process.kill(pid, 0)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') continue
      await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
    }
  }
}

async function keepLog(folder: string, kernelLog: string | undefined): Promise<void> {
  if (kernelLog === undefined) return
  await mkdir(dirname(resolve(kernelLog)), { recursive: true })
  // A QEMU that never started has no log.
  await cp(join(folder, 'kernel.log'), kernelLog).catch(() => {})
}

/** QEMU dies with us, even by SIGKILL, where util-linux's setpriv can arrange it. */
function startQemu(qemu: string, args: readonly string[]): ChildProcess {
  const setpriv = findProgram('setpriv')
  const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe']
  // Its own process group: Ctrl-C is for us, and we decide what it means.
  if (setpriv === undefined) return spawn(qemu, args, { stdio, detached: true })
  return spawn(setpriv, ['--pdeathsig', 'KILL', '--', qemu, ...args], { stdio, detached: true })
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

async function session(
  options: VmOptions,
  plan: GuestPlan,
  folder: string,
  qemu: string,
  args: readonly string[],
): Promise<{ code: number; bootMs: number }> {
  const wires = await openWires(folder, plan, options)
  const start = Date.now()
  const child = startQemu(qemu, args)
  let complaint = ''
  child.stderr?.on('data', chunk => {
    complaint += String(chunk)
  })
  const ending = new AbortController()
  const interrupt = (signal: NodeJS.Signals): void => {
    const text = `The VM was ended by ${signal}; nothing is left of it.`
    ending.abort(new VmError('ERR_VM_INTERRUPTED', text))
  }
  for (const signal of SIGNALS) process.on(signal, interrupt)
  const exited = new Promise<void>(done => {
    child.once('exit', () => done())
    child.once('error', error => {
      complaint += error.message
      done()
    })
  })
  try {
    return await guestLife(options, wires, exited, ending, start)
  } catch (error) {
    if (!(error instanceof GuestGone)) throw error
    const log = await readFile(join(folder, 'kernel.log'), 'latin1').catch(() => '')
    throw goneError(error.wasUp, log, complaint)
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt)
    child.kill('SIGKILL')
    await exited
    await wires.close()
  }
}

/** QEMU ended, and nobody had asked it to. */
class GuestGone extends Error {
  readonly wasUp: boolean
  constructor(wasUp: boolean) {
    super('QEMU ended by itself')
    this.wasUp = wasUp
  }
}

function goneError(wasUp: boolean, log: string, complaint: string): VmError {
  const detail = `${complaint.trim()}\n${logTail(log)}`.trim()
  if (/Kernel panic/.test(log)) {
    return new VmError(
      'ERR_VM_PANIC',
      `The guest's kernel panicked. The end of its log:\n${detail}`,
    )
  }
  if (!wasUp) {
    return new VmError(
      'ERR_VM_BOOT',
      `The VM did not boot. What QEMU and the guest's kernel said last:\n${detail}`,
    )
  }
  return new VmError(
    'ERR_VM_PANIC',
    `The VM switched itself off in the middle of the command:\n${detail}`,
  )
}

async function guestLife(
  options: VmOptions,
  wires: Wires,
  exited: Promise<void>,
  ending: AbortController,
  start: number,
): Promise<{ code: number; bootMs: number }> {
  const aborted = new Promise<never>((_, reject) => {
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason))
  })
  let wasUp = false
  const gone = exited.then((): never => {
    throw new GuestGone(wasUp)
  })
  // Whichever of these loses the races below must not count as unhandled.
  aborted.catch(() => {})
  gone.catch(() => {})
  const expire = (milliseconds: number, what: string): NodeJS.Timeout =>
    setTimeout(() => ending.abort(new VmError('ERR_VM_TIMEOUT', what)), milliseconds)
  const bootTimer = expire(
    BOOT_MS,
    `The VM did not boot in ${BOOT_MS / 1000} s. If the machine is busy, try again when it is not.`,
  )
  await Promise.race([wires.up, aborted, gone]).finally(() => clearTimeout(bootTimer))
  wasUp = true
  const bootMs = Date.now() - start
  const limit = options.timeoutMs
  const timer =
    limit === undefined
      ? undefined
      : expire(limit, `The command in the VM did not end in ${limit / 1000} s and was stopped.`)
  const finished = Promise.race([wires.finished, aborted, gone])
  const code = await finished.finally(() => clearTimeout(timer))
  return { code, bootMs }
}
