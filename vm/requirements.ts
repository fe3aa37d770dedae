/**
 * What the VM needs of the host: a few programs, each with the Debian and Ubuntu package that has it.
 *
 * Nothing is run but a look at PATH and at the first bytes of busybox (a dynamic one cannot be the first process of a
 * file system without libraries).
 */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface MissingProgram {
  readonly program: string
  /** The package of Debian and Ubuntu. */
  readonly package: string
}

const PROGRAMS: readonly MissingProgram[] = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86' },
  { program: 'dpkg-deb', package: 'dpkg' },
  { program: 'tar', package: 'tar' },
  { program: 'xz', package: 'xz-utils' },
  { program: 'zstd', package: 'zstd' },
]

/** The full path of `program`, looked for in PATH and in the sbin directories that a user's PATH often lacks. */
export function findProgram(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/bin']
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, program)
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return path
    } catch {
      // Not here: the next folder.
    }
  }
  return undefined
}

/** A static busybox: an ELF file without a program interpreter (PT_INTERP, type 3). */
export function findStaticBusybox(): string | undefined {
  for (const name of ['busybox', 'busybox.static', 'busybox-static']) {
    const path = findProgram(name)
    if (path !== undefined && isStatic(path)) return path
  }
  return undefined
}

function isStatic(path: string): boolean {
  const head = Buffer.alloc(4096)
  const fd = openSync(path, 'r')
  try {
    if (readSync(fd, head, 0, head.length, 0) < 64) return false
  } finally {
    closeSync(fd)
  }
  if (head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2) return false
  const tableOffset = Number(head.readBigUInt64LE(32))
  const entryBytes = head.readUInt16LE(54)
  const entryCount = head.readUInt16LE(56)
  for (let i = 0; i < entryCount; i += 1) {
    const at = tableOffset + i * entryBytes
    if (at + 4 > head.length) return false
    if (head.readUInt32LE(at) === 3) return false
  }
  return true
}

/** What is missing on this host, empty when the VM can run. */
export function vmRequirements(): { missing: MissingProgram[] } {
  const missing = PROGRAMS.filter(({ program }) => findProgram(program) === undefined)
  if (findStaticBusybox() === undefined) {
    missing.push({ program: 'busybox (static)', package: 'busybox-static' })
  }
  return { missing }
}
