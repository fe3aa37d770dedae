/**
 * How QEMU is called, and whether KVM is of use here.
 *
 * TCG is the rule: the machines that build this have /dev/kvm and no working KVM (nested virtualisation that starts and
 * then dies in the kernel's decompressor), so KVM is believed only after a kernel has reached its init with it. The answer
 * is kept until the next boot of the host.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { cacheRoot } from './cache.js'
import { buildProbeInitramfs } from './initramfs.js'
import type { Kernel } from './kernels.js'

const PROBE_MS = 8_000
const PROBE_WORD = 'zslab-init-reached'

export type Accelerator = 'kvm' | 'tcg' | 'icount'

export interface MachinePlan {
  readonly accelerator: Accelerator
  readonly cpus: number
  readonly memoryMiB: number
  readonly vmlinuz: string
  readonly initramfs: string
  /** Folder of the host's sockets: ctl, in, out, err, tty. */
  readonly socketFolder: string
  readonly kernelLog: string
  readonly interactive: boolean
  /** Host folder behind /run/zslab-out. */
  readonly outputFolder?: string | undefined
}

function acceleratorArguments(plan: MachinePlan): string[] {
  switch (plan.accelerator) {
    case 'kvm':
      return ['-accel', 'kvm', '-cpu', 'host', '-smp', String(plan.cpus)]
    case 'tcg':
      return ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max', '-smp', String(plan.cpus)]
    case 'icount':
      // Virtual time is 1 ns an instruction: repeatable where seconds are not. It needs one thread and one CPU.
      return [
        ...['-accel', 'tcg,thread=single,tb-size=512', '-icount', 'shift=0,sleep=off'],
        ...['-cpu', 'max', '-smp', '1'],
      ]
  }
}

/**
 * The kernel's command line. loglevel=6 sends warnings and notices to the serial line (a WARNING is level 4, which "quiet"
 * hides) and spares the TCG guest the hundreds of lines of an ordinary boot. The watchdogs are slow because a TCG guest that
 * shares the host's cores with another one really does stand still for seconds.
 */
export function kernelCommandLine(): string {
  return [
    ...['console=ttyS0', 'loglevel=6', 'panic=-1', 'mitigations=off', 'random.trust_cpu=on'],
    ...[
      'no_timer_check',
      'tsc=nowatchdog',
      'watchdog_thresh=60',
      'rcupdate.rcu_cpu_stall_timeout=120',
    ],
    ...['log_buf_len=4M', 'printk.time=1', 'rdinit=/init'],
  ].join(' ')
}

/** Arguments of qemu-system-x86_64. Commas in paths are doubled, as QEMU wants them. */
export function qemuArguments(plan: MachinePlan): string[] {
  const doubled = (path: string): string => path.replaceAll(',', ',,')
  const port = (name: string, device: string): string[] => [
    ...['-chardev', `socket,id=${name},path=${doubled(join(plan.socketFolder, name))}`],
    ...['-device', `${device},chardev=${name},name=${name}`],
  ]
  const ninep = (id: string, path: string, flags: string): string[] => [
    ...['-fsdev', `local,id=${id},path=${doubled(path)},security_model=none${flags}`],
    ...['-device', `virtio-9p-pci,fsdev=${id},mount_tag=${id}`],
  ]
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-vga', 'none', '-no-reboot'],
    ...['-machine', 'pc', '-m', String(plan.memoryMiB), '-rtc', 'base=utc'],
    ...acceleratorArguments(plan),
    ...['-kernel', plan.vmlinuz, '-initrd', plan.initramfs, '-append', kernelCommandLine()],
    ...['-chardev', `file,id=log,path=${doubled(plan.kernelLog)}`, '-serial', 'chardev:log'],
    ...['-device', 'virtio-rng-pci', '-device', 'virtio-serial-pci,max_ports=8'],
    ...(plan.interactive ? port('tty', 'virtconsole') : []),
    ...['out', 'err', 'in', 'ctl'].flatMap(name => port(name, 'virtserialport')),
    ...ninep('host', '/', ',readonly=on,multidevs=remap'),
    ...(plan.outputFolder === undefined ? [] : ninep('out', plan.outputFolder, ',multidevs=remap')),
  ]
}

function hostKey(series: string): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return `${bootId} ${cpus()[0]?.model ?? ''} ${series}`
}

/** Whether KVM brings `kernel` to its init on this host. The first call of a boot takes up to 8 s where /dev/kvm exists. */
export async function kvmWorks(kernel: Kernel, qemu: string, busybox: string): Promise<boolean> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch {
    return false
  }
  const file = join(cacheRoot(), 'kvm-probe.json')
  const key = hostKey(kernel.manifest.series)
  const known = await readFile(file, 'utf8').then(
    text => JSON.parse(text) as Record<string, boolean>,
    () => ({}) as Record<string, boolean>,
  )
  const cached = known[key]
  if (cached !== undefined) return cached
  const works = await probeKvm(kernel, qemu, busybox)
  await mkdir(cacheRoot(), { recursive: true })
  // Only this boot's answers are worth keeping.
  const bootId = key.slice(0, 36)
  const kept = Object.entries(known).filter(([name]) => name.startsWith(bootId))
  await writeFile(file, JSON.stringify(Object.fromEntries([...kept, [key, works]])))
  return works
}

async function probeKvm(kernel: Kernel, qemu: string, busybox: string): Promise<boolean> {
  const initramfs = join(cacheRoot(), `kvm-probe-${process.pid}.cpio`)
  await writeFile(initramfs, await buildProbeInitramfs(busybox, PROBE_WORD))
  const child = spawn(
    qemu,
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', 'pc'],
      ...['-accel', 'kvm', '-cpu', 'host', '-m', '512', '-serial', 'stdio'],
      ...['-kernel', join(kernel.folder, 'vmlinuz'), '-initrd', initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 rdinit=/init'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS)
  try {
    let text = ''
    for await (const chunk of child.stdout) {
      text += String(chunk)
      if (text.includes(PROBE_WORD)) return true
    }
    return false
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
    await rm(initramfs, { force: true })
  }
}
