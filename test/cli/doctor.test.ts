/**
 * `zslab doctor` and `zslab start` on machines that are not this one.
 */
import { expect, it } from 'vitest'
import { canMakeDevice, runChecks } from '../../cli/checks.js'
import { doctor, formatChecks } from '../../cli/doctor.js'
import type { Io, VmModule } from '../../cli/io.js'
import type { Machine } from '../../cli/machine.js'
import { ExitCode } from '../../cli/output.js'
import { start } from '../../cli/start.js'

const GIB = 1024 ** 3
const CONFIG = 'CONFIG_BLK_DEV_UBLK=m\nCONFIG_BLK_DEV_ZONED=y\nCONFIG_IO_URING=y\n'

/** What a healthy machine has; a test takes things away. */
interface Parts {
  platform: string
  release: string
  uid: number
  files: Record<string, string>
  programs: string[]
  loadable: boolean
  addon: string | null
  refused: string | null
  missingForVm: { program: string; package: string }[]
  freeBytes: number | null
}

function healthy(): Parts {
  return {
    platform: 'linux',
    release: '6.12.9-amd64',
    uid: 0,
    files: {
      '/boot/config-6.12.9-amd64': CONFIG,
      '/sys/module/ublk_drv': '',
      '/dev/ublk-control': '',
      '/dev/kvm': '',
      '/proc/self/status': 'Name:\tnode\nCapEff:\t000001ffffffffff\n',
      '/proc/sys/kernel/io_uring_disabled': '0\n',
      '/proc/self/limits':
        'Max open files            1024                 4096                 files\n',
    },
    programs: ['fio', 'blkzone', 'mkfs.btrfs', 'mkfs.f2fs', 'mkfs.xfs', 'mkzonefs'],
    loadable: true,
    addon: null,
    refused: null,
    missingForVm: [],
    freeBytes: 4 * GIB,
  }
}

function machineOf(parts: Parts): Machine {
  return {
    platform: parts.platform,
    release: parts.release,
    uid: parts.uid,
    memoryBytes: 8 * GIB,
    freeBytes: () => parts.freeBytes,
    exists: path => path in parts.files,
    isWritable: path => path in parts.files && parts.uid === 0,
    read: path => parts.files[path] ?? null,
    find: program => (parts.programs.includes(program) ? `/usr/bin/${program}` : null),
    canLoad: () => Promise.resolve(parts.loadable),
    probeAddon: () =>
      Promise.resolve({ ok: parts.addon === null, message: parts.addon ?? 'the addon loads' }),
    refusedKernel: () => Promise.resolve(parts.refused),
    missingForVm: () => Promise.resolve(parts.missingForVm),
  }
}

const ILLS: [string, (parts: Parts) => void, string, string][] = [
  ['an old kernel', p => Object.assign(p, { release: '6.1.0' }), 'kernel', 'zslab vm'],
  [
    'a kernel that crashes',
    p => Object.assign(p, { refused: 'crashes' }),
    'kernel defects',
    'zslab vm',
  ],
  [
    'a kernel without ublk',
    p => Object.assign(p.files, { '/boot/config-6.12.9-amd64': 'CONFIG_BLK_DEV_ZONED=y' }),
    'kernel config',
    'zslab vm',
  ],
  [
    'a module not loaded',
    p => delete p.files['/sys/module/ublk_drv'] && delete p.files['/dev/ublk-control'],
    'ublk module',
    'sudo modprobe ublk_drv',
  ],
  [
    'no control device',
    p => delete p.files['/dev/ublk-control'],
    'ublk control',
    'sudo modprobe ublk_drv',
  ],
  [
    'no capability',
    p => Object.assign(p.files, { '/proc/self/status': 'CapEff:\t00000000a80425fb\n' }),
    'privilege',
    '--privileged',
  ],
  [
    'io_uring switched off',
    p => Object.assign(p.files, { '/proc/sys/kernel/io_uring_disabled': '2\n' }),
    'io_uring',
    'sudo sysctl kernel.io_uring_disabled=0',
  ],
  [
    'no addon',
    p => Object.assign(p, { addon: 'build/ublk.node is not there' }),
    'addon',
    'npm run build',
  ],
  [
    'no shared memory',
    p => Object.assign(p, { freeBytes: null }),
    'shared memory',
    'mount -t tmpfs',
  ],
  [
    'little shared memory',
    p => Object.assign(p, { freeBytes: 64 << 20 }),
    'shared memory',
    'remount',
  ],
]

it('a healthy machine can make a device, and nothing is to be mended', async () => {
  const checks = await runChecks(machineOf(healthy()))
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
  expect(checks.every(({ mend }) => mend === undefined)).toBe(true)
  expect(formatChecks(checks)).toContain('A device can be made here: zslab device create')
})

it.each(ILLS)('%s: no device, and what mends it', async (_name, fall, check, mend) => {
  const parts = healthy()
  fall(parts)
  const checks = await runChecks(machineOf(parts))
  expect(canMakeDevice(checks)).toBe(false)
  const found = checks.find(({ name }) => name === check)!
  expect(found.ok).toBe(false)
  expect(found.mend).toContain(mend)
  expect(formatChecks(checks)).toContain(`-> ${found.mend}`)
})

it('tools, open files and the VM are not needed for a device', async () => {
  const parts = healthy()
  parts.programs = ['blkzone']
  parts.files['/proc/self/limits'] =
    'Max open files            256                 4096                 files\n'
  parts.missingForVm = [{ program: 'qemu-system-x86_64', package: 'qemu-system-x86' }]
  const checks = await runChecks(machineOf(parts))
  expect(canMakeDevice(checks)).toBe(true)
  const mends = Object.fromEntries(checks.map(({ name, mend }) => [name, mend]))
  expect(mends['tools']).toContain('apt-get install -y --no-install-recommends fio btrfs-progs')
  expect(mends['VM']).toContain('qemu-system-x86')
  expect(mends['open files']).toBe('ulimit -n 1024')
})

it('a check that fails to look is a finding, not a crash', async () => {
  const machine = { ...machineOf(healthy()), probeAddon: () => Promise.reject(new Error('boom')) }
  const addon = (await runChecks(machine)).find(({ name }) => name === 'addon')!
  expect(addon).toMatchObject({ ok: false, detail: 'could not be checked: boom' })
})

interface Spy {
  io: Io
  out: () => string
  err: () => string
}

function spyIo(parts: Partial<Io> = {}): Spy {
  let out = ''
  let err = ''
  const never = (): never => {
    throw new Error('not to be called')
  }
  const io: Io = {
    out: text => {
      out += text
    },
    err: text => {
      err += text
    },
    drained: () => Promise.resolve(),
    outIsTerminal: false,
    errIsTerminal: false,
    hasColour: false,
    outBytes: () => {},
    input: () => Promise.resolve(new Uint8Array()),
    store: () => import('../../store/index.js'),
    interactive: false,
    nowMs: () => 0,
    wait: never,
    interruption: never,
    client: never,
    vm: never,
    ...parts,
  }
  return { io, out: () => out, err: () => err }
}

it('another system than Linux: one check, exit 1, JSON pure', async () => {
  const { io, out } = spyIo()
  const machine = machineOf({ ...healthy(), platform: 'darwin' })
  await expect(doctor(io, machine, { json: true })).rejects.toMatchObject({ exitCode: 1 })
  const value = JSON.parse(out()) as { canMakeDevice: boolean; checks: unknown[] }
  expect(value.canMakeDevice).toBe(false)
  expect(value.checks).toHaveLength(1)
})

/** A VM that writes down what it is to run. */
function fakeVm(
  code: number,
  output: string,
): { module: VmModule; runs: Record<string, unknown>[] } {
  const runs: Record<string, unknown>[] = []
  const runInVm: VmModule['runInVm'] = options => {
    runs.push({ ...options })
    options.stdout?.write(output)
    return Promise.resolve({
      code,
      dmesgWarnings: [],
      bootMs: 1,
      accelerator: 'tcg',
      release: '6.12',
    })
  }
  return { module: { runInVm } as VmModule, runs }
}

const sick = machineOf({ ...healthy(), platform: 'linux', release: '6.1.0', uid: 1000 })

it('start without ublk and terminal: says why, and runs the tour in a VM', async () => {
  const { module, runs } = fakeVm(0, '')
  const { io, out } = spyIo({ vm: () => Promise.resolve(module) })
  await start(io, sick, {}, () => Promise.resolve(0))
  expect(out()).toContain('No ublk device can be made on this machine')
  expect(out()).toContain('6.1.0 is older than 6.6')
  expect(out()).toContain('doctor')
  expect((runs[0]!['command'] as string[]).slice(1)).toEqual([
    expect.stringMatching(/dist\/cli\/index\.js$/),
    'start',
    '--tour',
  ])
  expect(runs[0]!['interactive']).toBeUndefined()
})

it('start without ublk on a terminal: a shell in the VM', async () => {
  const { module, runs } = fakeVm(0, '')
  const { io } = spyIo({ interactive: true, vm: () => Promise.resolve(module) })
  await start(io, sick, {}, () => Promise.resolve(0))
  expect(runs[0]).toMatchObject({ interactive: true })
  expect((runs[0]!['command'] as string[]).slice(2)).toEqual(['start', '--shell'])
})

it('start --json without ublk: stdout has what the guest said, and nothing else; its exit code is ours', async () => {
  const { module } = fakeVm(1, '{"ok":false,"steps":[]}\n')
  const { io, out, err } = spyIo({ vm: () => Promise.resolve(module) })
  const done = start(io, sick, { json: true }, () => Promise.resolve(0))
  await expect(done).rejects.toEqual(new ExitCode(1))
  expect(JSON.parse(out())).toEqual({ ok: false, steps: [] })
  expect(err()).toContain('doctor')
})
