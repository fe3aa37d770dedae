/**
 * The set-up's packages, on fake machines: what is asked of apt-get, and what people are told when it cannot be.
 */
import { describe, expect, it } from 'vitest'
import { CONTENTS, type FakeHost, fakeHost } from './fake-host.js'

interface Package {
  name: string
  optional?: boolean
}
interface Packages {
  missingPackages(mode: 'run' | 'test', host: FakeHost): Package[]
  installPackages(packages: readonly Package[], host: FakeHost): string | undefined
  obstacle(packages: readonly Package[], host: FakeHost): string | undefined
  installLine(packages: readonly Package[], host: FakeHost): string
}
const { missingPackages, installPackages, installLine, obstacle } = (await import(
  new URL('../../scripts/packages.mjs', import.meta.url).href
)) as Packages

const RUN =
  'g++ liburing-dev liblz4-dev libzstd-dev fio qemu-system-x86 busybox-static xz-utils zstd'
const TEST = `${RUN} git e2fsprogs btrfs-progs f2fs-tools xfsprogs zbd-utils sg3-utils`
const names = (packages: readonly Package[]): string => packages.map(({ name }) => name).join(' ')
const aptCalls = (host: FakeHost): string[] => host.calls.filter(call => call.includes('apt-get'))

describe('what is missing', () => {
  it('on a minimal Debian is all but what is always there', () => {
    expect(names(missingPackages('run', fakeHost()))).toBe(RUN)
    expect(names(missingPackages('test', fakeHost()))).toBe(TEST)
  })
  it('is no VM where the kernel has ublk', () => {
    expect(names(missingPackages('run', fakeHost({ hasUblk: true })))).toBe(
      'g++ liburing-dev liblz4-dev libzstd-dev fio',
    )
  })
  it('is nothing once everything is installed', () => {
    const host = fakeHost({ installed: Object.keys(CONTENTS) })
    expect(missingPackages('test', host)).toEqual([])
  })
  it('is busybox-static where there is only the dynamic busybox of Debian', () => {
    const installed = Object.keys(CONTENTS).filter(name => name !== 'busybox-static')
    const host = fakeHost({ installed })
    const exists = host.hasProgram
    host.hasProgram = name => name === 'busybox' || exists(name)
    expect(names(missingPackages('run', host))).toBe('busybox-static')
  })
})

describe('with root', () => {
  it('reads the lists when there are none, and installs all in one go', () => {
    const host = fakeHost()
    expect(installPackages(missingPackages('test', host), host)).toBeUndefined()
    expect(missingPackages('test', host)).toEqual([])
    const calls = aptCalls(host)
    expect(calls).toHaveLength(2)
    expect(calls[0]).toMatch(/^env DEBIAN_FRONTEND=noninteractive apt-get .* update$/)
    expect(calls[1]).toMatch(/ install -y --no-install-recommends /)
    expect(calls[1]).toContain(TEST)
  })
  it('asks no mirror for lists that are there', () => {
    const host = fakeHost({ hasLists: true })
    expect(installPackages(missingPackages('run', host), host)).toBeUndefined()
    expect(aptCalls(host)).toHaveLength(1)
  })
  it('reads stale lists again', () => {
    const stale = (_call: string, count: number): string | undefined =>
      count === 1 ? 'E: Failed to fetch http://mirror/g.deb  404  Not Found\n' : undefined
    const host = fakeHost({ hasLists: true, aptFails: stale })
    expect(installPackages(missingPackages('run', host), host)).toBeUndefined()
    expect(aptCalls(host).map(call => call.includes(' update'))).toEqual([false, true, false])
  })
  it('leaves out an optional package that this release does not have', () => {
    const host = fakeHost({ lacks: ['zbd-utils'] })
    expect(installPackages(missingPackages('test', host), host)).toBeUndefined()
    expect(names(missingPackages('test', host))).toBe('zbd-utils')
  })
  it('lets dpkg finish what an interrupted run began', () => {
    const interrupted = (_call: string, count: number): string | undefined =>
      count === 1
        ? "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.\n"
        : undefined
    const host = fakeHost({ hasLists: true, aptFails: interrupted })
    expect(installPackages(missingPackages('run', host), host)).toBeUndefined()
    expect(host.calls.some(call => call.endsWith('dpkg --configure -a'))).toBe(true)
  })
  it('by sudo without a password is the same', () => {
    const host = fakeHost({ uid: 1000, sudo: 'free' })
    expect(installPackages(missingPackages('run', host), host)).toBeUndefined()
    expect(aptCalls(host).every(call => call.startsWith('sudo -n env '))).toBe(true)
  })
})

describe('what people are told', () => {
  const apt = `apt-get install -y --no-install-recommends ${RUN}`
  const told = (host: FakeHost): string => {
    const missing = missingPackages('run', host)
    const text = obstacle(missing, host) ?? installPackages(missing, host)
    expect(text).toBeDefined()
    return text!
  }
  it('is one line with sudo, where that asks for a password', () => {
    const host = fakeHost({ uid: 1000, sudo: 'password' })
    const lines = told(host).split('\n')
    expect(lines).toContain(`  sudo apt-get update && sudo ${apt}`)
    expect(aptCalls(host)).toEqual([])
  })
  it('is one line with su, where there is no sudo', () => {
    const lines = told(fakeHost({ uid: 1000, sudo: 'none' })).split('\n')
    expect(lines).toContain(`  su -c 'apt-get update && ${apt}'`)
  })
  it('has no sudo for root', () => {
    const packages = [{ name: 'fio' }]
    expect(installLine(packages, fakeHost())).toBe(
      'apt-get update && apt-get install -y --no-install-recommends fio',
    )
  })
  it('names the packages where there is no apt-get', () => {
    const text = told(fakeHost({ hasApt: false }))
    expect(text).toContain(`under their Debian names: ${RUN}.`)
    expect(text).toContain("this system's package manager")
  })
  it('is that there is no network, with the line', () => {
    const offline = (): string =>
      "W: Failed to fetch http://mirror/InRelease  Temporary failure resolving 'mirror'\nE: Unable to fetch some archives\n"
    const text = told(fakeHost({ hasLists: true, aptFails: offline }))
    expect(text).toContain('apt-get cannot reach its mirror: the first run needs a network.')
    expect(text).toContain(`\n  apt-get update && ${apt}\n`)
    // Said twice by apt-get, once by us.
    expect(text.split('Unable to fetch some archives')).toHaveLength(2)
  })
  it('is that the disk is full', () => {
    const full = (): string => "E: You don't have enough free space in /var/cache/apt/archives/.\n"
    expect(told(fakeHost({ hasLists: true, aptFails: full }))).toContain('The disk is full')
  })
  it('is what apt-get said, when nothing is known of it', () => {
    const broken = (): string => 'Reading\nE: Unmet dependencies.\n'
    const text = told(fakeHost({ hasLists: true, aptFails: broken }))
    expect(text.split('\n').slice(0, 3)).toEqual([
      'E: Unmet dependencies.',
      '',
      'apt-get failed. The line that was tried:',
    ])
  })
})
