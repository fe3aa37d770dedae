/**
 * Who uses a block device, from what the kernel shows in /proc and /sys. The device itself is never opened: a daemon that does
 * can wait for itself.
 *
 * Seen are: mounts of every mount namespace (by device number, and by name in the options, as in xfs's rtdev), swap, what
 * is stacked on it (device mapper, md), all devices of a btrfs, loop devices. Not seen are programs that only have it open,
 * and second devices of an f2fs, which the kernel shows nowhere.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/**
 * Whether a line of mountinfo is of this device: by its number, or, since a file system may have a number of its own or more
 * than one device, by its path among what follows the separator (type, source, options).
 */
function isMountOf(line: string, number: string, path: string): boolean {
  if (line.split(' ')[2] === number) return true
  const [, ofFilesystem = ''] = line.split(' - ')
  return ofFilesystem.split(/[ ,=]/).includes(path)
}

/** Where it is mounted, first in our own mount namespace, then in those of other processes. */
function mountOf(proc: string, number: string, path: string): string | null {
  const seen = new Set<string>()
  const processes = list(proc).filter(name => /^\d+$/.test(name))
  for (const process of ['self', ...processes]) {
    let namespace: string
    try {
      namespace = readlinkSync(join(proc, process, 'ns/mnt'))
    } catch {
      // It has ended.
      continue
    }
    if (seen.has(namespace)) continue
    seen.add(namespace)
    const lines = read(join(proc, process, 'mountinfo')).split('\n')
    const found = lines.find(line => isMountOf(line, number, path))
    if (found === undefined) continue
    const where = process === 'self' ? '' : ` in the mount namespace of process ${process}`
    return `mounted on ${found.split(' ')[4]}${where}`
  }
  return null
}

function holderOf(sys: string, name: string): string | null {
  const holder = list(join(sys, 'block', name, 'holders'))[0]
  if (holder === undefined) return null
  const mapped = read(join(sys, 'block', holder, 'dm/name'))
  return mapped === '' ? `used by /dev/${holder}` : `used by /dev/mapper/${mapped} (${holder})`
}

function btrfsOf(sys: string, name: string): string | null {
  const root = join(sys, 'fs/btrfs')
  const uuid = list(root).find(folder => list(join(root, folder, 'devices')).includes(name))
  return uuid === undefined ? null : `a device of the mounted btrfs ${uuid}`
}

function loopOf(sys: string, path: string): string | null {
  const loops = list(join(sys, 'block')).filter(name => name.startsWith('loop'))
  const loop = loops.find(name => read(join(sys, 'block', name, 'loop/backing_file')) === path)
  return loop === undefined ? null : `used by /dev/${loop}`
}

function swapOf(proc: string, path: string): string | null {
  const lines = read(join(proc, 'swaps')).split('\n')
  return lines.some(line => line.split(/\s/)[0] === path) ? 'swap space' : null
}

/**
 * What uses /dev/ublkb`id`, as the end of a sentence that begins with its path and "is" ("mounted on /mnt"), or null. `proc`
 * and `sys` are where those file systems are.
 */
export function deviceUser(id: number, proc = '/proc', sys = '/sys'): string | null {
  const name = `ublkb${id}`
  const path = `/dev/${name}`
  const number = read(join(sys, 'block', name, 'dev'))
  return (
    mountOf(proc, number, path) ??
    btrfsOf(sys, name) ??
    holderOf(sys, name) ??
    swapOf(proc, path) ??
    loopOf(sys, path)
  )
}
