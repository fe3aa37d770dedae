/**
 * The system packages that each command needs, how to see whether they are there, and how to get them.
 *
 * Looks at files, not at dpkg: it costs a millisecond, and works where programs came another way. Names are the same on
 * Debian 12 and 13 and Ubuntu 24.04. An `optional` package that this release does not have is left out: tests that need it
 * say so when they skip.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'

const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/bin', '/bin']

function hasProgram(name) {
  return FOLDERS.some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}

const program = name => () => hasProgram(name)
const file = path => () => existsSync(path)
/** Debian's plain busybox is dynamic and has the same path; other distributions have one package for both. */
const staticBusybox = () =>
  existsSync('/var/lib/dpkg/info')
    ? existsSync('/var/lib/dpkg/info/busybox-static.list')
    : hasProgram('busybox') || hasProgram('busybox-static')

const BUILD = [
  { name: 'g++', isThere: program('g++') },
  { name: 'liburing-dev', isThere: file('/usr/include/liburing.h') },
  { name: 'util-linux', isThere: program('blkzone') },
]
const VM = [
  { name: 'qemu-system-x86', isThere: program('qemu-system-x86_64') },
  { name: 'busybox-static', isThere: staticBusybox },
  { name: 'xz-utils', isThere: program('xz') },
  { name: 'zstd', isThere: program('zstd') },
  { name: 'dpkg', isThere: program('dpkg-deb') },
]
const TOUR = [{ name: 'fio', isThere: program('fio') }]
const TEST = [
  { name: 'git', isThere: program('git') },
  { name: 'btrfs-progs', isThere: program('mkfs.btrfs') },
  { name: 'f2fs-tools', isThere: program('mkfs.f2fs') },
  { name: 'xfsprogs', isThere: program('mkfs.xfs') },
  { name: 'zbd-utils', isThere: program('zbd'), optional: true },
  { name: 'sg3-utils', isThere: program('sg_inq'), optional: true },
]

export const hasUblk = () => existsSync('/dev/ublk-control')

/** What is missing for `mode` ('run' or 'test'). */
export function missingPackages(mode) {
  const wanted = [...BUILD, ...TOUR, ...(hasUblk() ? [] : VM), ...(mode === 'test' ? TEST : [])]
  return wanted.filter(entry => !entry.isThere())
}

const quiet = (command, args) => spawnSync(command, args, { encoding: 'utf8' })

/** How to become root without asking anyone, or undefined. */
function rootPrefix() {
  if (process.getuid() === 0) return []
  return hasProgram('sudo') && quiet('sudo', ['-n', 'true']).status === 0
    ? ['sudo', '-n']
    : undefined
}

/** The line that a person runs. */
export function installLine(packages) {
  const names = packages.map(entry => entry.name).join(' ')
  return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names}`
}

function aptGet(prefix, args) {
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  const words = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...options, ...args]
  const { status, stdout, stderr } = quiet(words[0], words.slice(1))
  return { done: status === 0, text: `${stdout ?? ''}${stderr ?? ''}` }
}

const isKnown = name =>
  /Candidate: (?!\(none\))/.test(quiet('apt-cache', ['policy', name]).stdout ?? '')

/** Installs `packages`. Returns undefined when done, else what to tell the user. */
export function installPackages(packages) {
  const names = packages.map(entry => entry.name).join(' ')
  if (!hasProgram('apt-get')) {
    return `These are missing, under their Debian names: ${names}.\nInstall them with this system's package manager, then run this again.`
  }
  const prefix = rootPrefix()
  if (prefix === undefined) {
    return `These packages are missing: ${names}. Run this line, then try again:\n\n  ${installLine(packages)}\n`
  }
  const wanted = () => packages.filter(entry => !entry.optional || isKnown(entry.name))
  const install = () =>
    aptGet(prefix, [
      'install',
      '-y',
      '--no-install-recommends',
      ...wanted().map(entry => entry.name),
    ])
  // Lists may be there and fresh (then this is all), or absent or old (then apt says so and an update helps).
  if (packages.every(entry => isKnown(entry.name)) && install().done) return undefined
  const update = aptGet(prefix, ['update'])
  const result = install()
  if (result.done) return undefined
  const offline = /Could not resolve|Temporary failure|Network is unreachable|Could not connect/i
  const why = offline.test(update.text + result.text)
    ? 'apt-get cannot reach its mirror: this machine needs a network for its first run.'
    : 'apt-get could not install what is missing.'
  return `${update.text}${result.text}\n${why} The line that was tried:\n\n  ${installLine(wanted())}\n`
}
