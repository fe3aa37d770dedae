/**
 * What `zslab doctor` looks at, behind an interface: a test gives it another machine.
 *
 * Guarantees: it only looks (the one program that is run is `modprobe -n`, which changes nothing), works on every platform and
 * without root, and what cannot be read is null rather than an error.
 */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs'
import { release, totalmem } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Io } from './io.js'

/** A result that may be bad, with what to say about it. */
export interface Probe {
  readonly ok: boolean
  readonly message: string
}

export interface Machine {
  readonly platform: string
  /** As `uname -r`. */
  readonly release: string
  /** -1 where there are no user ids. */
  readonly uid: number
  readonly memoryBytes: number
  /** Bytes that are free in the file system at `path`; null when there is none. */
  freeBytes(path: string): number | null
  exists(path: string): boolean
  isWritable(path: string): boolean
  /** Text of a file, unpacked when its name ends in .gz; null when it cannot be read. */
  read(path: string): string | null
  /** Full path of a program, looked for in PATH and in the sbin directories that a user's PATH often lacks. */
  find(program: string): string | null
  /** `modprobe -n`: whether the module could be loaded. */
  canLoad(module: string): Promise<boolean>
  probeAddon(): Promise<Probe>
  /** Why a device must not be made on this kernel; null when nothing is known against it. */
  refusedKernel(release: string): Promise<string | null>
  /** What the VM lacks here: programs and their packages. */
  missingForVm(): Promise<readonly { program: string; package: string }[]>
}

function read(path: string): string | null {
  try {
    const bytes = readFileSync(path)
    return path.endsWith('.gz') ? gunzipSync(bytes).toString() : bytes.toString()
  } catch {
    return null
  }
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

function find(program: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
  const paths = folders.filter(folder => folder !== '').map(folder => join(folder, program))
  return paths.find(path => isAccessible(path, constants.X_OK)) ?? null
}

function freeBytes(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch {
    return null
  }
}

function canLoad(module: string): Promise<boolean> {
  const modprobe = find('modprobe')
  if (modprobe === null) return Promise.resolve(false)
  return new Promise(resolve => {
    execFile(modprobe, ['-n', '-q', module], error => resolve(error === null))
  })
}

/** This machine. */
export function thisMachine(io: Io): Machine {
  return {
    platform: process.platform,
    release: release(),
    uid: process.getuid?.() ?? -1,
    memoryBytes: totalmem(),
    freeBytes,
    exists: existsSync,
    isWritable: path => isAccessible(path, constants.R_OK | constants.W_OK),
    read,
    find,
    canLoad,
    probeAddon: async () => (await io.client()).probeAddon(),
    refusedKernel: async name => (await io.client()).refusedKernel(name),
    missingForVm: async () => (await io.vm()).vmRequirements().missing,
  }
}
