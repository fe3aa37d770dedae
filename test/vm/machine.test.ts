/** What QEMU and the guest are told: arguments, scripts, module order. Nothing is booted here. */
import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { cacheRoot } from '../../vm/cache.js'
import { commandScript, type GuestPlan, modprobeScript, quote } from '../../vm/initramfs.js'
import { ensureKernel, KERNEL_SERIES } from '../../vm/kernels.js'
import { loadOrder, type ModuleInfo, moduleInfo, moduleName } from '../../vm/modules.js'
import { type MachinePlan, qemuArguments } from '../../vm/qemu.js'

const MACHINE: MachinePlan = {
  accelerator: 'tcg',
  cpus: 2,
  memoryMiB: 1024,
  vmlinuz: '/k/vmlinuz',
  initramfs: '/t/initramfs',
  socketFolder: '/t',
  kernelLog: '/t/kernel.log',
  interactive: false,
}
const GUEST: GuestPlan = {
  command: ['printf', '%s|', 'a b', "it's", '$HOME', ''],
  cwd: '/',
  env: { A: "x'y\n$z", 'not a name': '1' },
  interactive: false,
  hasStdin: false,
  hasOutput: false,
  nonce: 'n',
  rows: 24,
  columns: 80,
}
const valueAfter = (args: readonly string[], flag: string) => args[args.indexOf(flag) + 1]
const info = (
  name: string,
  depends: string[] = [],
  optional: string[] = [],
): [string, ModuleInfo] => [name, { name, depends, optional, aliases: [`fs-${name}`] }]

describe('qemuArguments', () => {
  it('never lets the guest write to the host’s file system', () => {
    const shares = qemuArguments({ ...MACHINE, outputFolder: '/out,put' }).filter(a =>
      a.startsWith('local,'),
    )
    expect(shares).toEqual([
      'local,id=host,path=/,security_model=none,readonly=on,multidevs=remap',
      'local,id=out,path=/out,,put,security_model=none,multidevs=remap',
    ])
  })
  it('counts instructions on one CPU and one thread', () => {
    const args = qemuArguments({ ...MACHINE, accelerator: 'icount', cpus: 4 })
    expect(valueAfter(args, '-smp')).toBe('1')
    expect(valueAfter(args, '-icount')).toBe('shift=0,sleep=off')
    expect(valueAfter(args, '-accel')).toContain('thread=single')
  })
  it('has a terminal only when asked', () => {
    expect(qemuArguments(MACHINE).join(' ')).not.toContain('virtconsole')
    expect(qemuArguments({ ...MACHINE, interactive: true }).join(' ')).toContain('virtconsole')
  })
  it('lets WARNINGs (level 4) through to the log', () => {
    const level = Number(/loglevel=(\d)/.exec(valueAfter(qemuArguments(MACHINE), '-append')!)?.[1])
    expect(level).toBeGreaterThan(4)
  })
})

describe('commandScript', () => {
  it('runs exactly the words that it was given, in the environment that it was given', () => {
    const run = (plan: GuestPlan) =>
      execFileSync('sh', ['-c', commandScript(plan)], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      })
    expect(run(GUEST)).toBe("a b|it's|$HOME||")
    expect(run({ ...GUEST, command: ['printenv', 'A'] })).toBe("x'y\n$z\n")
  })
  it('quotes a quote', () => {
    expect(quote("a'b")).toBe("'a'\\''b'")
  })
})

describe('modules', () => {
  it('knows a module by its file', () => {
    expect(moduleName('kernel/drivers/md/dm-zoned.ko.xz')).toBe('dm_zoned')
    expect(moduleName('9p.ko.zst')).toBe('9p')
  })
  it('reads .modinfo', () => {
    const text =
      '\x7fELF\0license=GPL\0alias=fs-btrfs\0alias=pci:v0001d*\0depends=xor,raid6-pq\0softdep=pre: crc32c post: late\0'
    expect(moduleInfo('btrfs', Buffer.from(text))).toEqual({
      name: 'btrfs',
      depends: ['xor', 'raid6_pq', 'crc32c'],
      optional: ['crc32c'],
      aliases: ['fs-btrfs'],
    })
  })
  it('orders dependencies first, each once, and reports what is missing', () => {
    const infos = new Map([info('a', ['b', 'c']), info('b', ['c']), info('c', ['soft'], ['soft'])])
    expect(loadOrder(['a', 'b'], infos)).toEqual({ order: ['c', 'b', 'a'], missing: [] })
    expect(loadOrder(['a', 'x'], infos).missing).toEqual(['x'])
    expect(loadOrder(['d'], new Map([info('d', ['gone'])])).missing).toEqual(['gone'])
  })
  it('finds a soft dependency by its alias', () => {
    const btrfs = info('btrfs', ['crypto_crc32c'], ['crypto_crc32c'])
    const crc: ModuleInfo = {
      name: 'crc32c_cryptoapi',
      depends: [],
      optional: [],
      aliases: ['crypto-crc32c'],
    }
    const infos = new Map([btrfs, [crc.name, crc] as const])
    expect(loadOrder(['btrfs'], infos).order).toEqual(['crc32c_cryptoapi', 'btrfs'])
  })
  it('gives the kernel a modprobe that any shell can read', () => {
    const script = modprobeScript(new Map([info('a', ['b']), info('b')]))
    execFileSync('sh', ['-n'], { input: script })
    expect(script).toContain('a|fs_a) load b a ;;')
  })
})

describe('kernels', () => {
  it('refuses a series that it does not have, and names those that it has', async () => {
    const refusal = ensureKernel('5.10')
    await expect(refusal).rejects.toMatchObject({ code: 'ERR_VM_KERNEL' })
    await expect(refusal).rejects.toThrow(KERNEL_SERIES.join(', '))
  })
  it('caches where it is told, then by XDG, then at home', () => {
    expect(cacheRoot({ ZSLAB_CACHE: '/c', XDG_CACHE_HOME: '/x' })).toBe('/c')
    expect(cacheRoot({ XDG_CACHE_HOME: '/x' })).toBe('/x/zslab')
    expect(cacheRoot({})).toMatch(/\/\.cache\/zslab$/)
  })
})
