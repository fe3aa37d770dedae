/**
 * The guest's first root file system: a static busybox, the kernel modules, and an init that makes a machine of them.
 *
 * The init mounts the host's file system over 9p (read only), puts a tmpfs over it, and runs the command inside with the
 * host's own programs. What the guest writes vanishes with it, except under /run/zslab-out.
 *
 * Talking to the host (ports of one virtio-serial device, see machine.ts):
 *   out, err   the command's output, byte for byte, then END_MARK and the run's nonce: the host knows it has everything
 *   in         the command's input, until the host closes it
 *   ctl        lines: "up <uptime in s>", "exit <code>" to the host; "size <rows> <columns>" to the guest
 *   hvc0       the terminal of an interactive command
 * Modules that nobody asked for are loaded when the kernel calls /sbin/modprobe, which is a script made here. It is also
 * the guest's modprobe (first in its PATH): the host's own knows nothing of this kernel.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CpioEntry, cpioArchive } from './cpio.js'
import type { Kernel } from './kernels.js'
import { EAGER_MODULES, ROOT_MODULES } from './kernels.js'
import { loadOrder, type ModuleInfo, moduleInfo } from './modules.js'

/** Ends the output streams, followed by the nonce. The NULs keep it apart from anything that is text. */
export const END_MARK = '\0\0zslab-end-'

export interface GuestPlan {
  /** Empty: a shell. */
  readonly command: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  readonly interactive: boolean
  readonly hasStdin: boolean
  readonly hasOutput: boolean
  readonly nonce: string
  readonly rows: number
  readonly columns: number
}

/** One word of a POSIX shell, whatever is in it. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** What the guest runs inside the host's file system, by its own /bin/sh. */
export function commandScript(plan: GuestPlan): string {
  const lines = Object.entries(plan.env)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => `export ${name}=${quote(value)}`)
  lines.push(`cd ${quote(plan.cwd)} || exit 126`)
  const shell = 'exec "$(command -v bash || echo /bin/sh)" -i'
  lines.push(plan.command.length === 0 ? shell : `exec ${plan.command.map(quote).join(' ')}`)
  return `${lines.join('\n')}\n`
}

/** /sbin/modprobe: one case for each module and alias, listing what to insmod. */
export function modprobeScript(infos: ReadonlyMap<string, ModuleInfo>): string {
  const cases: string[] = []
  for (const info of infos.values()) {
    const { order } = loadOrder([info.name], infos)
    const aliases = info.aliases.map(alias => alias.replaceAll('-', '_'))
    cases.push(`  ${[...new Set([info.name, ...aliases])].join('|')}) load ${order.join(' ')} ;;`)
  }
  return `#!/bin/sh
FOLDER=/lib/modules BUSYBOX=/bin/busybox
[ -d /run/zslab/modules ] && FOLDER=/run/zslab/modules BUSYBOX=/run/zslab/bin/busybox
load() {
  for last; do :; done
  for name; do
    words=; [ "$name" = "$last" ] && words=$PARAMETERS
    [ -d "/sys/module/$name" ] || "$BUSYBOX" insmod "$FOLDER/$name.ko" $words || exit 1
  done
  exit 0
}
REMOVE= WORD= PARAMETERS=
for word in "$@"; do
  case "$word" in
    -r|--remove) REMOVE=1 ;;
    -*) ;;
    *) if [ -z "$WORD" ]; then WORD=$word; else PARAMETERS="$PARAMETERS $word"; fi ;;
  esac
done
WORD=$(echo "$WORD" | "$BUSYBOX" tr - _)
[ -n "$REMOVE" ] && exec "$BUSYBOX" rmmod "$WORD"
case "$WORD" in
${cases.join('\n')}
esac
[ -d "/sys/module/$WORD" ] && exit 0
echo "modprobe: this VM's kernel has no module $WORD in its cache" >&2
exit 1
`
}

const loads = (names: readonly string[]): string =>
  names
    .map(name => `insmod /lib/modules/${name}.ko${name === 'null_blk' ? ' nr_devices=0' : ''}`)
    .join('\n')

/** Up to the command: everything that a program expects of a Linux machine. */
function machineScript(rootModules: readonly string[], eagerModules: readonly string[]): string {
  return `#!/bin/busybox sh
export PATH=/bin:/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
echo /sbin/modprobe > /proc/sys/kernel/modprobe
${loads(rootModules)}
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro host /host || poweroff -f
mount -t tmpfs -o size=75% scratch /scratch
mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work root /root || poweroff -f
${loads(eagerModules)}
mkdir -p /root/proc /root/sys /root/dev /root/run /root/tmp
mount -t proc proc /root/proc
mount -t sysfs sysfs /root/sys
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777 shm /root/dev/shm
ln -s /proc/self/fd /root/dev/fd
ln -s /proc/self/fd/0 /root/dev/stdin
ln -s /proc/self/fd/1 /root/dev/stdout
ln -s /proc/self/fd/2 /root/dev/stderr
mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/lock /root/run/zslab-out /root/run/zslab/bin /root/run/zslab/modules
cp /bin/busybox /sbin/modprobe /root/run/zslab/bin/
mount --bind /lib/modules /root/run/zslab/modules
mount -t configfs configfs /root/sys/kernel/config
mount -t debugfs debugfs /root/sys/kernel/debug
ip link set lo up
hostname zslab-vm
ulimit -Hn 524288
ulimit -Sn 4096
`
}

/** Runs the command, sends its output and its exit code, waits to be switched off. */
function sessionScript(plan: GuestPlan): string {
  const share = 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 out /root/run/zslab-out'
  const stdin = plan.hasStdin ? 'mkfifo /in; cat < "$IN" > /in 3>&- 4>&- 5>&- &' : ''
  const plain = `mkfifo /out /err
exec 3> "$OUT" 4> "$ERR"
cat < /out >&3 3>&- 4>&- & OUT_PID=$!
cat < /err >&4 3>&- 4>&- & ERR_PID=$!
${stdin}
chroot /root /bin/sh /run/zslab-command < ${plan.hasStdin ? '/in' : '/dev/null'} > /out 2> /err 3>&- 4>&- 5>&-
CODE=$?
# A process left behind may hold a pipe open: everything that runs inside the host's file system ends with its command.
for entry in /proc/[0-9]*; do
  case "$(readlink "$entry/root")" in /root*) kill -9 "\${entry#/proc/}" ;; esac
done
wait $OUT_PID $ERR_PID
printf '\\0\\0zslab-end-${plan.nonce}' >&3
printf '\\0\\0zslab-end-${plan.nonce}' >&4`
  const terminal = `# The size is the open terminal's: it would be forgotten if nothing held it open.
exec 6<> /dev/hvc0
stty -F /dev/hvc0 rows ${plan.rows} columns ${plan.columns}
while read -r WORD ROWS COLUMNS; do
  [ "$WORD" = size ] && stty -F /dev/hvc0 rows "$ROWS" columns "$COLUMNS"
done < "$CTL" &
setsid -c chroot /root /bin/sh /run/zslab-command < /dev/hvc0 > /dev/hvc0 2>&1
CODE=$?`
  return `${plan.hasOutput ? share : ''}
for port in /sys/class/virtio-ports/*; do
  read -r NAME < "$port/name"
  case "$NAME" in
    out) OUT="/dev/\${port##*/}" ;;
    err) ERR="/dev/\${port##*/}" ;;
    in) IN="/dev/\${port##*/}" ;;
    ctl) CTL="/dev/\${port##*/}" ;;
  esac
done
cp /command /root/run/zslab-command
exec 5<> "$CTL"
read -r UPTIME REST < /proc/uptime
echo "up $UPTIME" >&5
${plan.interactive ? terminal.replace('< "$CTL"', '<&5') : plain}
echo "exit $CODE" >&5
sleep 60
poweroff -f
`
}

async function base(kernel: Kernel, busybox: string): Promise<CpioEntry[]> {
  const folders = [
    'bin',
    'sbin',
    'lib',
    'lib/modules',
    'proc',
    'sys',
    'dev',
    'host',
    'scratch',
    'root',
    'run',
    'tmp',
  ]
  const entries: CpioEntry[] = folders.map(path => ({ path, kind: 'directory' }))
  entries.push({ path: 'bin/busybox', kind: 'file', mode: 0o755, data: await readFile(busybox) })
  const infos = new Map<string, ModuleInfo>()
  for (const name of kernel.manifest.loadOrder) {
    const data = await readFile(join(kernel.folder, 'modules', `${name}.ko`))
    infos.set(name, moduleInfo(name, data))
    entries.push({ path: `lib/modules/${name}.ko`, kind: 'file', mode: 0o644, data })
  }
  const modprobe = Buffer.from(modprobeScript(infos))
  entries.push({ path: 'sbin/modprobe', kind: 'file', mode: 0o755, data: modprobe })
  return entries
}

/** Those of `names` that this kernel has as modules, with what they depend on, in load order. */
function ordered(
  kernel: Kernel,
  names: readonly string[],
  entries: readonly CpioEntry[],
): string[] {
  const infos = new Map<string, ModuleInfo>()
  for (const entry of entries) {
    const name = /^lib\/modules\/(.+)\.ko$/.exec(entry.path)?.[1]
    if (name === undefined || entry.kind !== 'file') continue
    infos.set(name, moduleInfo(name, Buffer.from(entry.data)))
  }
  return loadOrder(
    names.filter(name => kernel.manifest.loadOrder.includes(name)),
    infos,
  ).order
}

/** The initramfs that runs `plan` on `kernel`, uncompressed. */
export async function buildInitramfs(
  kernel: Kernel,
  busybox: string,
  plan: GuestPlan,
): Promise<Buffer> {
  const entries = await base(kernel, busybox)
  const root = ordered(kernel, ROOT_MODULES, entries)
  const eager = ordered(kernel, EAGER_MODULES, entries).filter(name => !root.includes(name))
  const init = machineScript(root, eager) + sessionScript(plan)
  entries.push({ path: 'init', kind: 'file', mode: 0o755, data: Buffer.from(init) })
  entries.push({
    path: 'command',
    kind: 'file',
    mode: 0o755,
    data: Buffer.from(commandScript(plan)),
  })
  return cpioArchive(entries)
}

/** An initramfs that says `word` on the serial line and switches off: does this accelerator run a kernel at all? */
export async function buildProbeInitramfs(busybox: string, word: string): Promise<Buffer> {
  const init = `#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
echo ${word} > /dev/ttyS0
/bin/busybox poweroff -f
`
  return cpioArchive([
    { path: 'bin', kind: 'directory' },
    { path: 'dev', kind: 'directory' },
    { path: 'bin/busybox', kind: 'file', mode: 0o755, data: await readFile(busybox) },
    { path: 'init', kind: 'file', mode: 0o755, data: Buffer.from(init) },
  ])
}
