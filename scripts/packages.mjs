/**
 * The system packages that each command needs, how to see whether they are there, and how to get them.
 *
 * Looks at files, not at dpkg: it costs a millisecond, and works where programs came another way. Names are the same on
 * Debian 12 and 13 and Ubuntu 24.04 (what was renamed there for 64-bit times are libraries, which apt-get finds by itself).
 * An `optional` package that this release does not have is left out: tests that need it say so when they skip.
 * All that touches the machine goes through a `host` (host.mjs), so that the tests can bring another one.
 */
import { explainFailure } from './host.mjs'

const program = name => host => host.hasProgram(name)
const file = path => host => host.exists(path)
/** Debian's plain busybox is dynamic and has the same path; other distributions have one package for both. */
const staticBusybox = host =>
  host.exists('/var/lib/dpkg/info')
    ? host.exists('/var/lib/dpkg/info/busybox-static.list')
    : host.hasProgram('busybox') || host.hasProgram('busybox-static')

const BUILD = [
  { name: 'g++', isThere: program('g++') },
  { name: 'liburing-dev', isThere: file('/usr/include/liburing.h') },
  { name: 'liblz4-dev', isThere: file('/usr/include/lz4.h') },
  { name: 'libzstd-dev', isThere: file('/usr/include/zstd.h') },
  { name: 'util-linux', isThere: program('blkzone') },
]
const VM = [
  { name: 'qemu-system-x86', isThere: program('qemu-system-x86_64') },
  { name: 'busybox-static', isThere: staticBusybox },
  { name: 'xz-utils', isThere: program('xz') },
  { name: 'zstd', isThere: program('zstd') },
  { name: 'tar', isThere: program('tar') },
  { name: 'dpkg', isThere: program('dpkg-deb') },
]
const TOUR = [{ name: 'fio', isThere: program('fio') }]
const TEST = [
  { name: 'git', isThere: program('git') },
  { name: 'e2fsprogs', isThere: program('mkfs.ext4') },
  { name: 'btrfs-progs', isThere: program('mkfs.btrfs') },
  { name: 'f2fs-tools', isThere: program('mkfs.f2fs') },
  { name: 'xfsprogs', isThere: program('mkfs.xfs') },
  { name: 'zbd-utils', isThere: program('zbd'), optional: true },
  { name: 'sg3-utils', isThere: program('sg_inq'), optional: true },
]

const namesOf = packages => packages.map(entry => entry.name).join(' ')

/** What is missing for `mode` ('run' or 'test'). Where there is ublk no VM is needed. */
export function missingPackages(mode, host) {
  const vm = host.exists('/dev/ublk-control') ? [] : VM
  const wanted = [...BUILD, ...TOUR, ...vm, ...(mode === 'test' ? TEST : [])]
  return wanted.filter(entry => !entry.isThere(host))
}

/** The line that this user runs: as root, with sudo, or with root's password where there is no sudo. */
export function asRoot(line, host) {
  if (host.uid === 0) return line.join(' && ')
  if (host.hasProgram('sudo')) return line.map(command => `sudo ${command}`).join(' && ')
  return `su -c '${line.join(' && ')}'`
}

export function installLine(packages, host) {
  const install = `apt-get install -y --no-install-recommends ${namesOf(packages)}`
  return asRoot(['apt-get update', install], host)
}

/** How to become root without asking anyone, or undefined. */
function rootPrefix(host) {
  if (host.uid === 0) return []
  const mayAlready = host.hasProgram('sudo') && host.run('sudo', ['-n', 'true']).code === 0
  return mayAlready ? ['sudo', '-n'] : undefined
}

/** Runs apt-get; after an interrupted one, dpkg first finishes what that had begun. */
function aptGet(host, prefix, args) {
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']
  const quiet = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive']
  const run = words => host.run(words[0], words.slice(1))
  const again = () => run([...quiet, 'apt-get', ...options, ...args])
  const first = again()
  if (first.code === 0 || !first.text.includes('dpkg was interrupted')) return first
  run([...quiet, 'dpkg', '--configure', '-a'])
  return again()
}

const isKnown = (host, { name }) =>
  /Candidate: (?!\(none\))/.test(host.run('apt-cache', ['policy', name]).text)

/** The optional packages of `packages` that apt-get could bring here and now. */
export function obtainable(packages, host) {
  if (obstacle(packages, host) !== undefined) return []
  return packages.filter(entry => entry.optional && isKnown(host, entry))
}

/** The lines of apt-get that say what went wrong, each once; all of them when none does. */
function complaints(text) {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const telling = lines.filter(line => /^(?:E|W|Err|dpkg):?/.test(line))
  return [...new Set(telling.length > 0 ? telling : lines)].slice(-10).join('\n')
}

/** Why `packages` cannot be installed by us, and what to do; undefined when they can. */
export function obstacle(packages, host) {
  if (!host.hasProgram('apt-get')) {
    return `These are missing, under their Debian names: ${namesOf(packages)}.\nInstall them with this system's package manager, then run this again.`
  }
  if (rootPrefix(host) !== undefined) return undefined
  return `These packages are missing: ${namesOf(packages)}. Run this line, then try again:\n\n  ${installLine(packages, host)}\n`
}

/** Installs `packages`, when there is no obstacle. Returns undefined when done, else what to tell the user. */
export function installPackages(packages, host) {
  const prefix = rootPrefix(host)
  const wanted = () => packages.filter(entry => !entry.optional || isKnown(host, entry))
  const install = entries => {
    const names = entries.map(entry => entry.name)
    return aptGet(host, prefix, ['install', '-y', '--no-install-recommends', ...names])
  }
  // Lists may be there and fresh (then this is all), or absent or old (then apt says so and an update helps).
  if (packages.every(entry => isKnown(host, entry)) && install(packages).code === 0)
    return undefined
  const update = aptGet(host, prefix, ['update'])
  const entries = wanted()
  const result = install(entries)
  if (result.code === 0) return undefined
  const text = `${update.text}\n${result.text}`
  const why = explainFailure(text, 'apt-get', 'its mirror')
  return `${complaints(text)}\n\n${why} The line that was tried:\n\n  ${installLine(entries, host)}\n`
}
