/**
 * A machine for the set-up to work on: a Debian or Ubuntu of a release, as a set of programs and files that apt-get adds to.
 *
 * What each package brings is written down from `dpkg -L` of that release, so that a wrong name or path shows here. Guarantees:
 * no program is run, and every call is kept in `calls`.
 */

export interface RunResult {
  code: number
  text: string
}

export interface FakeHost {
  platform: string
  nodeVersion: string
  uid: number
  execPath: string
  env: Record<string, string>
  hasProgram(name: string): boolean
  exists(path: string): boolean
  run(program: string, args: readonly string[]): RunResult
  out(text: string): void
  err(text: string): void
  nowMs(): number
  calls: string[]
  stdout: string
  stderr: string
}

export interface FakeOptions {
  uid?: number
  sudo?: 'none' | 'free' | 'password'
  /** Packages that are there from the start, beyond what the release always has. */
  installed?: readonly string[]
  /** Packages that this release does not have. */
  lacks?: readonly string[]
  /** `apt-get update` has been run. */
  hasLists?: boolean
  hasApt?: boolean
  hasUblk?: boolean
  nodeVersion?: string
  platform?: string
  /** What apt-get says instead of doing anything, by the call's number. */
  aptFails?: (call: string, count: number) => string | undefined
  npm?: (call: string) => RunResult
}

/** Programs and files of each package: the same on Debian 12 and 13 and on Ubuntu 24.04 (`dpkg -L`). */
export const CONTENTS: Record<string, readonly string[]> = {
  'g++': ['/usr/bin/g++'],
  'liburing-dev': ['/usr/include/liburing.h'],
  'liblz4-dev': ['/usr/include/lz4.h'],
  'libzstd-dev': ['/usr/include/zstd.h'],
  'qemu-system-x86': ['/usr/bin/qemu-system-x86_64'],
  'busybox-static': ['/bin/busybox', '/var/lib/dpkg/info/busybox-static.list'],
  'xz-utils': ['/usr/bin/xz'],
  zstd: ['/usr/bin/zstd'],
  fio: ['/usr/bin/fio'],
  git: ['/usr/bin/git'],
  'btrfs-progs': ['/usr/bin/mkfs.btrfs'],
  'f2fs-tools': ['/usr/sbin/mkfs.f2fs'],
  e2fsprogs: ['/usr/sbin/mkfs.ext4'],
  xfsprogs: ['/usr/sbin/mkfs.xfs'],
  'zbd-utils': ['/usr/sbin/zbd'],
  'sg3-utils': ['/usr/bin/sg_inq'],
}
/** What debootstrap's minbase has of what is asked for, in each of them. */
const BASE = [
  ...['/usr/sbin/blkzone', '/usr/bin/tar', '/usr/bin/dpkg-deb', '/var/lib/dpkg/info'],
  '/usr/bin/apt-cache',
]

function aptGet(state: FakeState, words: string): RunResult {
  state.count += 1
  const failure = state.options.aptFails?.(words, state.count)
  if (failure !== undefined) return { code: 100, text: failure }
  if (words.endsWith(' update')) {
    state.hasLists = true
    return { code: 0, text: '' }
  }
  const names = words.split('--no-install-recommends ')[1]?.split(' ') ?? []
  const unknown = names.filter(name => !state.isKnown(name))
  if (unknown.length > 0)
    return {
      code: 100,
      text: unknown.map(name => `E: Unable to locate package ${name}\n`).join(''),
    }
  for (const name of names) for (const path of CONTENTS[name] ?? []) state.files.add(path)
  return { code: 0, text: '' }
}

interface FakeState {
  options: FakeOptions
  files: Set<string>
  hasLists: boolean
  count: number
  isKnown(name: string): boolean
}

function stateOf(options: FakeOptions): FakeState {
  const files = new Set(BASE)
  if (options.hasApt !== false) files.add('/usr/bin/apt-get')
  if (options.sudo === 'free' || options.sudo === 'password') files.add('/usr/bin/sudo')
  if (options.hasUblk === true) files.add('/dev/ublk-control')
  for (const name of options.installed ?? [])
    for (const path of CONTENTS[name] ?? []) files.add(path)
  const state: FakeState = {
    options,
    files,
    hasLists: options.hasLists ?? false,
    count: 0,
    isKnown: name =>
      state.hasLists && CONTENTS[name] !== undefined && !(options.lacks ?? []).includes(name),
  }
  return state
}

export function fakeHost(options: FakeOptions = {}): FakeHost {
  const state = stateOf(options)
  const run = (program: string, args: readonly string[]): RunResult => {
    const call = [program, ...args].join(' ')
    host.calls.push(call)
    if (call === 'sudo -n true') return { code: options.sudo === 'free' ? 0 : 1, text: '' }
    if (program === 'apt-cache') {
      const candidate = state.isKnown(args[1]!) ? '1.0' : '(none)'
      return { code: 0, text: `${args[1]}:\n  Candidate: ${candidate}\n` }
    }
    if (/\bnpm\b/.test(call)) return options.npm?.(call) ?? { code: 0, text: '' }
    const mayInstall = host.uid === 0 || (program === 'sudo' && options.sudo === 'free')
    if (!mayInstall) return { code: 100, text: 'E: are you root?\n' }
    if (call.includes('dpkg --configure')) return { code: 0, text: '' }
    if (call.includes('apt-get')) return aptGet(state, call)
    throw new Error(`the set-up ran ${call}`)
  }
  const host: FakeHost = {
    platform: options.platform ?? 'linux',
    nodeVersion: options.nodeVersion ?? '20.20.2',
    uid: options.uid ?? 0,
    execPath: '/usr/bin/node',
    env: {},
    hasProgram: name =>
      ['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some(at => state.files.has(`${at}/${name}`)),
    exists: path => state.files.has(path),
    run,
    out: text => {
      host.stdout += text
    },
    err: text => {
      host.stderr += text
    },
    nowMs: () => 0,
    calls: [],
    stdout: '',
    stderr: '',
  }
  return host
}
