/**
 * The checks of `zslab doctor`: each looks at one thing, and says which command mends it.
 *
 * A check is `required` when no device can be made here without it; others are for what is built on a device.
 */
import type { Machine } from './machine.js'

export interface Check {
  readonly name: string
  readonly ok: boolean
  readonly required: boolean
  /** What was found. */
  readonly detail: string
  /** The command or the advice that mends it; absent when all is well. */
  readonly mend?: string
}

type Finding = { ok: boolean; detail: string; mend?: string }

const GIB = 1024 ** 3
const NOFILE_WANTED = 1024
/** Capability number of CAP_SYS_ADMIN, include/uapi/linux/capability.h. */
const CAP_SYS_ADMIN = 21
const VM_ADVICE = 'zslab vm (a throwaway machine with another kernel)'

function good(detail: string): Finding {
  return { ok: true, detail }
}

function bad(detail: string, mend: string): Finding {
  return { ok: false, detail, mend }
}

function apt(packages: readonly string[]): string {
  return `sudo apt-get install -y --no-install-recommends ${[...new Set(packages)].join(' ')}`
}

function checkLinux({ platform, release }: Machine): Finding {
  if (platform === 'linux') return good(`Linux ${release}`)
  return bad(
    `this is ${platform}`,
    'use Linux for devices; the in-process drive (import from "zns-slab") works everywhere',
  )
}

function isKernelNewEnough(release: string): boolean {
  const match = /^(\d+)\.(\d+)/.exec(release)
  const [major, minor] = [Number(match?.[1]), Number(match?.[2])]
  return major > 6 || (major === 6 && minor >= 6)
}

function checkKernel({ platform, release }: Machine): Finding {
  if (platform !== 'linux') return bad('not Linux', VM_ADVICE)
  if (isKernelNewEnough(release)) return good(`${release}, zoned ublk came with 6.6`)
  return bad(`${release} is older than 6.6, which brought zoned ublk`, VM_ADVICE)
}

async function checkKnownBad(machine: Machine): Promise<Finding> {
  if (!isKernelNewEnough(machine.release)) return good('nothing known (too old to be tried)')
  const reason = await machine.refusedKernel(machine.release)
  return reason === null ? good('nothing known against this kernel') : bad(reason, VM_ADVICE)
}

/** Options of the kernel that a device needs. */
const CONFIG_OPTIONS = ['CONFIG_BLK_DEV_UBLK', 'CONFIG_BLK_DEV_ZONED', 'CONFIG_IO_URING']

function checkConfig(machine: Machine): Finding {
  const places = [
    `/boot/config-${machine.release}`,
    '/proc/config.gz',
    `/lib/modules/${machine.release}/config`,
  ]
  for (const place of places) {
    const text = machine.read(place)
    if (text === null) continue
    const lines = new Set(text.split('\n'))
    const missing = CONFIG_OPTIONS.filter(
      name => !lines.has(`${name}=y`) && !lines.has(`${name}=m`),
    )
    if (missing.length === 0) return good(`${CONFIG_OPTIONS.join(', ')} are set (${place})`)
    return bad(`${place} lacks ${missing.join(', ')}`, `${VM_ADVICE}, or a kernel that has them`)
  }
  return good('the configuration of this kernel is not to be read; the other checks tell as much')
}

async function checkModule(machine: Machine): Promise<Finding> {
  if (machine.exists('/sys/module/ublk_drv')) return good('ublk_drv is loaded')
  if (machine.exists('/dev/ublk-control')) return good('ublk_drv is built in')
  if (await machine.canLoad('ublk_drv'))
    return bad('ublk_drv is not loaded', 'sudo modprobe ublk_drv')
  const ubuntu = /^ID(?:_LIKE)?=.*ubuntu/m.test(machine.read('/etc/os-release') ?? '')
  const extra = ubuntu ? `sudo apt-get install -y linux-modules-extra-${machine.release}, or ` : ''
  return bad('this kernel has no module ublk_drv', `${extra}${VM_ADVICE}`)
}

function checkControl(machine: Machine): Finding {
  const path = '/dev/ublk-control'
  if (!machine.exists(path))
    return bad(`${path} is not there`, `sudo modprobe ublk_drv, or ${VM_ADVICE}`)
  if (!machine.isWritable(path)) return bad(`${path} is not writable for you`, 'sudo zslab …')
  return good(`${path} is there and yours`)
}

function checkPrivilege(machine: Machine): Finding {
  const status = machine.read('/proc/self/status') ?? ''
  const mask = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1]
  // 32 bits reach as far as this capability, and are within what a number can mask.
  const low = mask === undefined ? Number.NaN : Number.parseInt(mask.slice(-8), 16)
  const hasCapability = Number.isNaN(low) ? machine.uid === 0 : ((low >>> CAP_SYS_ADMIN) & 1) === 1
  if (hasCapability) return good(machine.uid === 0 ? 'root, with CAP_SYS_ADMIN' : 'CAP_SYS_ADMIN')
  const who =
    machine.uid === 0 ? 'root without CAP_SYS_ADMIN (a container?)' : `user ${machine.uid}`
  return bad(
    `${who}: zoned ublk needs CAP_SYS_ADMIN`,
    'sudo zslab …; a container needs --privileged',
  )
}

function checkIoUring(machine: Machine): Finding {
  const text = machine.read('/proc/sys/kernel/io_uring_disabled')
  if (text === null) return good('this kernel has no switch for io_uring')
  const level = Number(text)
  const isAllowed = level === 0 || (level === 1 && machine.uid === 0)
  if (isAllowed) return good(`kernel.io_uring_disabled = ${level}`)
  return bad(`kernel.io_uring_disabled = ${level}`, 'sudo sysctl kernel.io_uring_disabled=0')
}

async function checkAddon(machine: Machine): Promise<Finding> {
  const probe = await machine.probeAddon()
  return probe.ok ? good(probe.message) : bad(probe.message, 'npm run build')
}

function checkSharedMemory(machine: Machine): Finding {
  const free = machine.freeBytes('/dev/shm')
  const total = `${(machine.memoryBytes / GIB).toFixed(1)} GiB`
  if (free === null) return bad('there is no /dev/shm', 'sudo mount -t tmpfs tmpfs /dev/shm')
  const detail = `${(free / GIB).toFixed(1)} GiB free in /dev/shm, of ${total} of memory`
  if (free >= GIB / 4) return good(`${detail}: as much can be written to devices`)
  return bad(`${detail}: devices keep their data there`, 'sudo mount -o remount,size=50% /dev/shm')
}

function checkFiles(machine: Machine): Finding {
  const limits = machine.read('/proc/self/limits') ?? ''
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (soft === undefined) return good('the limit of open files is not to be read')
  if (soft === 'unlimited' || Number(soft) >= NOFILE_WANTED) return good(`${soft} open files`)
  return bad(
    `only ${soft} open files: a device needs some, and each queue more`,
    `ulimit -n ${NOFILE_WANTED}`,
  )
}

/** Programs that people use on a device, and their Debian packages. */
const TOOLS: readonly (readonly [string, string])[] = [
  ['fio', 'fio'],
  ['blkzone', 'util-linux'],
  ['mkfs.btrfs', 'btrfs-progs'],
  ['mkfs.f2fs', 'f2fs-tools'],
  ['mkfs.xfs', 'xfsprogs'],
  ['mkzonefs', 'zonefs-tools'],
]

function checkTools(machine: Machine): Finding {
  const missing = TOOLS.filter(([program]) => machine.find(program) === null)
  const present = TOOLS.filter(tool => !missing.includes(tool)).map(([program]) => program)
  if (missing.length === 0) return good(present.join(', '))
  const names = missing.map(([program]) => program).join(', ')
  return bad(`without ${names}`, apt(missing.map(([, name]) => name)))
}

async function checkVm(machine: Machine): Promise<Finding> {
  const missing = await machine.missingForVm()
  const kvm = machine.isWritable('/dev/kvm') ? 'with KVM' : 'emulated: no /dev/kvm, so it is slow'
  if (missing.length === 0) return good(`can run here, ${kvm}`)
  const names = missing.map(({ program }) => program).join(', ')
  return bad(`needs ${names}`, apt(missing.map(entry => entry.package)))
}

/** Name, whether a device needs it, and the look at it. */
const CHECKS: readonly (readonly [string, boolean, (m: Machine) => Finding | Promise<Finding>])[] =
  [
    ['Linux', true, checkLinux],
    ['kernel', true, checkKernel],
    ['kernel defects', true, checkKnownBad],
    ['kernel config', true, checkConfig],
    ['ublk module', true, checkModule],
    ['ublk control', true, checkControl],
    ['privilege', true, checkPrivilege],
    ['io_uring', true, checkIoUring],
    ['addon', true, checkAddon],
    ['shared memory', true, checkSharedMemory],
    ['open files', false, checkFiles],
    ['tools', false, checkTools],
    ['VM', false, checkVm],
  ]

async function look(machine: Machine, check: (typeof CHECKS)[number]): Promise<Check> {
  const [name, required, find] = check
  try {
    return { name, required, ...(await find(machine)) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { name, required, ...bad(`could not be checked: ${reason}`, 'npm run build') }
  }
}

/** All checks, in the order in which they build on each other. Never rejects. */
export async function runChecks(machine: Machine): Promise<Check[]> {
  // Elsewhere than on Linux only the first has anything to say.
  const relevant = machine.platform === 'linux' ? CHECKS : CHECKS.slice(0, 1)
  const checks: Check[] = []
  for (const check of relevant) checks.push(await look(machine, check))
  return checks
}

/** Whether a device can be made here. */
export function canMakeDevice(checks: readonly Check[]): boolean {
  return checks.every(check => check.ok || !check.required)
}
