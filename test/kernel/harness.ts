/**
 * What tests on a real kernel share: devices made through the daemon, programs run, the kernel's log read for warnings.
 *
 * The daemon under test is the compiled one (dist/), since its workers are threads of their own. Each test file has its own
 * control socket, state folder and daemon, and ends with `closeAll`, which fails on anything left behind.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type * as Client from '../../daemon/client.js'
import { kernelWarnings } from '../../vm/index.js'

const directory = mkdtempSync(join(tmpdir(), 'zslab-test-'))
process.env['ZSLAB_SOCKET'] = join(directory, 'control.sock')
process.env['ZSLAB_STATE'] = mkdtempSync('/dev/shm/zslab-test-')

const clientPath = new URL('../../dist/daemon/client.js', import.meta.url).href
/** The compiled client. */
export const client = (await import(clientPath)) as typeof Client
export const cliPath = new URL('../../dist/cli/index.js', import.meta.url).pathname

export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

/** Run a program to its end. Never throws for an exit code: tests say what they expect. */
export function run(program: string, args: readonly string[], input?: string): Promise<Outcome> {
  return new Promise(resolve => {
    const child = execFile(program, args, { maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255
      resolve({ code, stdout, stderr: error !== null && stderr === '' ? String(error) : stderr })
    })
    // A program that does not read its input is free to close it.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input ?? '')
  })
}

/** Run a program that must succeed; its whole output is in the failure. */
export async function must(program: string, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, args)
  if (code === 0) return stdout
  throw new Error(`${program} ${args.join(' ')} exited with ${code}\n${stdout}\n${stderr}`)
}

/** A program in the background, its output collected. */
export function start(
  program: string,
  args: readonly string[],
): { child: ChildProcess; ended: Promise<Outcome> } {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => (stdout += chunk))
  child.stderr.on('data', chunk => (stderr += chunk))
  const ended = new Promise<Outcome>(resolve => {
    child.on('close', code => resolve({ code: code ?? 255, stdout, stderr }))
  })
  return { child, ended }
}

export type Device = Client.DeviceInfo

/** Make a device; a daemon is started when none runs. */
export async function create(options: Record<string, unknown>): Promise<Device> {
  await client.ensureDaemon()
  return client.request('device.create', options)
}

export async function remove(device: Device, force = false): Promise<void> {
  await client.request('device.delete', { id: device.id, force })
}

function ddArguments(
  device: Device,
  offsetBytes: number,
  bytes: number,
  { from = '/dev/urandom', count = 1 } = {},
): string[] {
  return [
    `if=${from}`,
    `of=${device.path}`,
    `bs=${bytes}`,
    `count=${count}`,
    `seek=${offsetBytes}`,
    'oflag=direct,seek_bytes',
    'iflag=fullblock',
    'conv=notrunc',
  ]
}

type Extent = Parameters<typeof ddArguments>

/** `count` writes of `bytes` with O_DIRECT, one after the other, through dd. */
export function write(...extent: Extent): Promise<Outcome> {
  return run('dd', ddArguments(...extent))
}

export async function mustWrite(...extent: Extent): Promise<void> {
  await must('dd', ddArguments(...extent))
}

/** One read with O_DIRECT through dd: past the page cache. */
export function tryRead(
  device: Device,
  offsetBytes: number,
  bytes: number,
  target = '/dev/null',
): Promise<Outcome> {
  const from = [`if=${device.path}`, `skip=${offsetBytes}`, 'iflag=direct,skip_bytes']
  return run('dd', [...from, `of=${target}`, `bs=${bytes}`, 'count=1'])
}

let reads = 0

/** What a read that must succeed gets. */
export async function read(device: Device, offsetBytes: number, bytes: number): Promise<Buffer> {
  const target = join(directory, `read-${++reads}`)
  const { code, stderr } = await tryRead(device, offsetBytes, bytes, target)
  if (code !== 0) throw new Error(`reading ${device.path} at ${offsetBytes}: ${stderr}`)
  const got = readFileSync(target)
  rmSync(target)
  if (got.length !== bytes) throw new Error(`${device.path} gave ${got.length} of ${bytes} bytes`)
  return got
}

/** Of fio: blocks that can be verified later by another run, and shrink: twelve bytes over and over, each block's offset in them. */
export const FIO_PATTERN = ['--verify=pattern', '--verify_pattern=0xdeadbeef%o']

/** Arguments of fio for a zoned device, with what every run of it has here. What comes later counts. */
export function zonedFioArguments(device: Device, ...rest: string[]): string[] {
  return [
    '--name=zones',
    `--filename=${device.path}`,
    '--zonemode=zbd',
    '--direct=1',
    '--ioengine=libaio',
    '--iodepth=8',
    '--bs=64k',
    '--randrepeat=1',
    ...rest,
  ]
}

/** fio, to its end, which must be good. */
export function zonedFio(device: Device, ...rest: string[]): Promise<string> {
  return must('fio', zonedFioArguments(device, ...rest))
}

export async function daemonPid(): Promise<number> {
  return (await client.request('ping', {})).pid
}

/** What a process has written by system calls so far, as a copy into a request is. */
export function copiedBytes(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1])
}

/** sysfs of a device's queue. */
export function queueAttribute(device: Device, name: string): string {
  return readFileSync(`/sys/block/ublkb${device.id}/queue/${name}`, 'utf8').trim()
}

function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0
}

/** Whether the kernel has a file system, loading its module where there is one. */
function hasFilesystem(name: string): boolean {
  spawnSync('modprobe', [name])
  return readFileSync('/proc/filesystems', 'utf8')
    .split('\n')
    .some(line => line.trim().split(/\s+/).at(-1) === name)
}

export const kernelRelease = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()

/** [6, 12] for 6.12.95+deb12-amd64. */
const kernelVersion = kernelRelease.split('.').slice(0, 2).map(Number) as [number, number]

/** Whether this kernel is of that series or newer. */
export function isAtLeast([major, minor]: readonly [number, number]): boolean {
  return kernelVersion[0] > major || (kernelVersion[0] === major && kernelVersion[1] >= minor)
}

/** What a test needs of the machine. */
interface Needs {
  filesystem?: string
  program?: string
  /** At least this one, as [6, 15]. */
  kernel?: [number, number]
}

/** Skips the test where the machine lacks what it needs, and says what that is. */
export function needs(
  context: { skip(note?: string): void },
  { filesystem, program, kernel }: Needs,
) {
  if (kernel !== undefined && !isAtLeast(kernel)) {
    context.skip(`needs Linux ${kernel.join('.')} or newer`)
  }
  if (filesystem !== undefined && !hasFilesystem(filesystem)) {
    context.skip(`this kernel has no ${filesystem}`)
  }
  if (program !== undefined && !hasProgram(program)) context.skip(`${program} is not installed`)
}

let logRead = 0

/** Warnings that the kernel has logged since the last call. */
export function newKernelWarnings(): string[] {
  const log = spawnSync('dmesg', [], { encoding: 'utf8', maxBuffer: 64 << 20 }).stdout.split('\n')
  const fresh = log.slice(logRead)
  logRead = log.length - 1
  return kernelWarnings(fresh.join('\n'))
}

/** End the daemon of this file and say what it left: device nodes, state folders, kernel warnings. */
export async function closeAll(): Promise<string[]> {
  const left: string[] = []
  try {
    const pid = (await client.request('shutdown', {})).pid
    await gone(pid)
  } catch (error) {
    if ((error as { code?: string }).code !== 'DAEMON_ERR_NOT_RUNNING') throw error
  }
  left.push(...readdirSync('/dev').filter(name => /^ublk[bc]\d+$/.test(name)))
  left.push(...readdirSync(process.env['ZSLAB_STATE']!).map(name => `state/${name}`))
  left.push(...newKernelWarnings())
  rmSync(process.env['ZSLAB_STATE']!, { recursive: true, force: true })
  rmSync(directory, { recursive: true, force: true })
  return left
}

/** Resolves when a process (not a child of ours) has ended. */
export async function gone(pid: number): Promise<void> {
  while (existsSync(`/proc/${pid}`) && !/\) Z /.test(statOf(pid))) await tick()
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ') Z '
  }
}

/** Let other things happen. Used to poll for a condition, never as a guess at how long something takes. */
export function tick(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, 20))
}

/** Text of the daemon's log, for failures. */
export function daemonLog(): string {
  return existsSync(client.logPath()) ? readFileSync(client.logPath(), 'utf8') : ''
}
