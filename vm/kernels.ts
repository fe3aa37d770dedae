/**
 * Kernels for the VM: Debian's own packages, downloaded once, unpacked into a cache, never installed.
 *
 * Why Debian's: they have ublk, zoned block devices, zonefs, f2fs and 9p as modules, and are what users run.
 * Chain of trust: InRelease (signature checked with gpgv where the host has it) -> SHA256 of Packages.xz -> SHA256 of the
 * .deb -> SHA256 of every file that we keep, checked again at each use. A cached kernel needs no network.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  cacheRoot,
  type KernelManifest,
  MANIFEST_FORMAT,
  readCachedKernel,
  replaceFolder,
  sha256Of,
  withLock,
} from './cache.js'
import {
  compareVersions,
  DEFAULT_MIRROR,
  type DebianPackage,
  debianMirror,
  parsePackages,
  releaseSha256,
} from './debian.js'
import { downloadBytes, downloadFile, progressBar } from './download.js'
import { VmError } from './errors.js'
import { loadOrder, type ModuleInfo, moduleInfo, moduleName } from './modules.js'
import { findProgram } from './requirements.js'

const run = promisify(execFile)

export interface Kernel {
  readonly folder: string
  readonly manifest: KernelManifest
}

interface Recipe {
  /** Tried in this order: a suite may have moved on. */
  readonly suites: readonly string[]
  /** One package of each pattern, all of one release; group 1 is the release. */
  readonly packages: readonly RegExp[]
}

const RECIPES: Readonly<Record<string, Recipe>> = {
  '6.12': {
    suites: ['bookworm-backports', 'trixie'],
    packages: [/^linux-image-(6\.12\.\d+\+deb[\d.]+-amd64)(?:-unsigned)?$/],
  },
  '6.18': {
    suites: ['trixie-backports'],
    packages: [/^linux-image-(6\.18\.\d+\+deb[\d.]+-amd64)(?:-unsigned)?$/],
  },
  '7.2': {
    suites: ['trixie-backports', 'sid'],
    packages: [
      /^linux-binary-(7\.2\.\d+\+deb[\d.]+-amd64)$/,
      /^linux-modules-(7\.2\.\d+\+deb[\d.]+-amd64)$/,
    ],
  },
}

export const KERNEL_SERIES: readonly string[] = Object.keys(RECIPES)
export const DEFAULT_SERIES = '6.12'

/** Loaded before the command starts. Others come when the kernel asks for them (mount -t btrfs, …). */
export const EAGER_MODULES: readonly string[] = [
  'configfs',
  'null_blk',
  'ublk_drv',
  'loop',
  'dm_mod',
]
/** Loaded first of all: without them there is no root file system. */
export const ROOT_MODULES: readonly string[] = ['9pnet_virtio', '9p', 'overlay']
/** Kept in the cache, with all that they depend on, as far as this kernel has them. */
const LAZY_MODULES: readonly string[] = [
  ...['virtio_pci', 'virtio_console', 'zonefs', 'btrfs', 'f2fs', 'xfs', 'ext4', 'vfat', 'fuse'],
  ...[
    'crc32c_generic',
    'crc32c_intel',
    'libcrc32c',
    'crc32_pclmul',
    'xxhash_generic',
    'blake2b_generic',
  ],
  ...[
    'sha256_generic',
    'lz4',
    'lz4hc',
    'zstd',
    'zram',
    'zloop',
    'scsi_debug',
    'sd_mod',
    'sg',
    'nbd',
  ],
  ...[
    'dm_zoned',
    'dm_flakey',
    'dm_log_writes',
    'dm_crypt',
    'dm_linear',
    'dm_error',
    'bfq',
    'kyber_iosched',
  ],
  ...['nvme_tcp', 'nvme_fabrics', 'nls_ascii', 'nls_cp437', 'nls_utf8'],
]

/** Folders of the package's kernel tree that hold the modules above and what they depend on. */
const FOLDERS = [
  ...[
    'fs',
    'block',
    'crypto',
    'lib',
    'net/9p',
    'arch/x86',
    'drivers/block',
    'drivers/md',
    'drivers/scsi',
  ],
  ...['drivers/virtio', 'drivers/nvme', 'drivers/char', 'drivers/acpi', 'drivers/dax'],
]

function isListed(names: readonly string[]): (name: string) => boolean {
  return name => names.includes(name)
}

/**
 * The kernel of `series` (see KERNEL_SERIES), from the cache, else from the network.
 * Throws VmError: ERR_VM_KERNEL (unknown series), ERR_VM_DOWNLOAD, ERR_VM_CHECKSUM.
 */
export async function ensureKernel(series: string): Promise<Kernel> {
  const recipe = RECIPES[series]
  if (recipe === undefined) {
    throw new VmError(
      'ERR_VM_KERNEL',
      `There is no kernel "${series}". Choose one of: ${KERNEL_SERIES.join(', ')}.`,
    )
  }
  const root = join(cacheRoot(), 'kernels')
  const folder = join(root, series)
  const cached = await readCachedKernel(folder)
  if (cached !== undefined) return { folder, manifest: cached }
  return withLock(join(root, `${series}.lock`), async () => {
    // Another process may have fetched it while we waited.
    const other = await readCachedKernel(folder)
    if (other !== undefined) return { folder, manifest: other }
    for (const name of await readdir(root)) {
      if (name.startsWith(`${series}.new-`)) await rm(join(root, name), { recursive: true })
    }
    const fresh = await mkdtemp(join(root, `${series}.new-`))
    try {
      const manifest = await fetchKernel(series, recipe, fresh)
      await replaceFolder(folder, fresh)
      return { folder, manifest }
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  })
}

/** The Debian mirror: `$ZSLAB_DEBIAN_MIRROR`, else apt's, else deb.debian.org. */
export async function chooseMirror(aptFolder = '/etc/apt'): Promise<string> {
  const set = process.env['ZSLAB_DEBIAN_MIRROR']
  if (set !== undefined && set !== '') return set.replace(/\/$/, '')
  const parts = join(aptFolder, 'sources.list.d')
  const names = await readdir(parts).catch((): string[] => [])
  const files = [join(aptFolder, 'sources.list'), ...names.map(name => join(parts, name))]
  const texts = files
    .filter(file => /\.(list|sources)$/.test(file))
    .map(file => readFile(file, 'utf8').catch(() => ''))
  return debianMirror(await Promise.all(texts)) ?? DEFAULT_MIRROR
}

/** The newest release that has a package of every pattern; signed packages win over unsigned ones of the same version. */
export function choosePackages(
  patterns: readonly RegExp[],
  packages: readonly DebianPackage[],
): { release: string; packages: DebianPackage[] } | undefined {
  const newestFirst = [...packages].sort(
    (a, b) => compareVersions(b.version, a.version) || a.name.length - b.name.length,
  )
  const [first, ...others] = patterns
  for (const candidate of newestFirst) {
    const release = first?.exec(candidate.name)?.[1]
    if (release === undefined) continue
    const rest = others.map(pattern => newestFirst.find(p => pattern.exec(p.name)?.[1] === release))
    const found = rest.filter(p => p !== undefined)
    if (found.length === others.length) return { release, packages: [candidate, ...found] }
  }
  return undefined
}

/** BADSIG throws; a host without gpgv or without the key cannot tell, and says so in the manifest. */
async function checkSignature(inRelease: Buffer, scratch: string): Promise<boolean> {
  const keyrings = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp']
  const gpgv = findProgram('gpgv')
  if (gpgv === undefined) return false
  const file = join(scratch, 'InRelease')
  await writeFile(file, inRelease)
  for (const keyring of keyrings) {
    const args = ['--status-fd', '1', '--keyring', `/usr/share/keyrings/${keyring}`, file]
    const status = await run(gpgv, args).then(
      done => done.stdout,
      (error: { stdout?: string }) => error.stdout ?? '',
    )
    if (status.includes('[GNUPG:] BADSIG')) {
      throw new VmError(
        'ERR_VM_CHECKSUM',
        'The Debian mirror’s InRelease has a bad signature. Use another mirror.',
      )
    }
    if (status.includes('[GNUPG:] GOODSIG')) return true
  }
  return false
}

async function readIndex(
  mirror: string,
  suite: string,
  patterns: readonly RegExp[],
  scratch: string,
) {
  const base = `${mirror}/dists/${suite}`
  const path = 'main/binary-amd64/Packages.xz'
  const inRelease = await downloadBytes(`${base}/InRelease`)
  const signatureChecked = await checkSignature(inRelease, scratch)
  const sha256 = releaseSha256(inRelease.toString('utf8'), path)
  if (sha256 === undefined) {
    throw new VmError(
      'ERR_VM_DOWNLOAD',
      `${base}/InRelease does not list ${path}. Use another mirror.`,
    )
  }
  const file = join(scratch, 'Packages.xz')
  await downloadFile(`${base}/${path}`, file, sha256, () => {})
  const { stdout } = await run('xz', ['-dc', file], { maxBuffer: 1 << 30 })
  const packages = parsePackages(stdout, name => patterns.some(pattern => pattern.test(name)))
  return { packages, signatureChecked }
}

async function fetchKernel(series: string, recipe: Recipe, fresh: string): Promise<KernelManifest> {
  const mirror = await chooseMirror()
  const scratch = join(fresh, 'scratch')
  await mkdir(scratch)
  for (const suite of recipe.suites) {
    const index = await readIndex(mirror, suite, recipe.packages, scratch)
    const chosen = choosePackages(recipe.packages, index.packages)
    if (chosen === undefined) continue
    const tree = join(scratch, 'tree')
    await mkdir(tree)
    for (const { name, filename, bytes, sha256 } of chosen.packages) {
      const bar = progressBar(`Downloading ${name}`, bytes)
      const deb = join(scratch, 'package.deb')
      await downloadFile(`${mirror}/${filename}`, deb, sha256, received =>
        bar.update(received, bytes),
      )
      bar.done()
      await unpack(deb, tree)
    }
    const kept = await keep(tree, fresh, chosen.release)
    const manifest: KernelManifest = {
      format: MANIFEST_FORMAT,
      series,
      release: chosen.release,
      packages: chosen.packages.map(p => ({ url: `${mirror}/${p.filename}`, sha256: p.sha256 })),
      signatureChecked: index.signatureChecked,
      ...kept,
    }
    await rm(scratch, { recursive: true })
    await writeFile(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    return manifest
  }
  throw new VmError(
    'ERR_VM_KERNEL',
    `${mirror} has no ${series} kernel in ${recipe.suites.join(' or ')}. Try ZSLAB_DEBIAN_MIRROR=${DEFAULT_MIRROR}.`,
  )
}

/** Where packages have the kernel: newer ones keep it beside its modules. */
const KERNELS = ['./boot/vmlinuz-*', '*/lib/modules/*/vmlinuz']

/** Only what we may need: a kernel package holds 400 MB of modules. */
async function unpack(deb: string, tree: string): Promise<void> {
  const wildcards = [...KERNELS, ...FOLDERS.map(folder => `*/kernel/${folder}/*.ko*`)]
  const script =
    'deb="$1" tree="$2"; shift 2; dpkg-deb --fsys-tarfile "$deb" | tar -x --wildcards -C "$tree" -f - "$@"'
  // tar's exit code says 2 for a pattern that matched nothing (a kernel without that folder): what matters is checked below.
  await run('sh', ['-c', script, 'unpack', deb, tree, ...wildcards]).catch(() => {})
}

/** Moves vmlinuz and the modules that we want, decompressed, to `fresh`. */
async function keep(tree: string, fresh: string, release: string) {
  const paths = (await readdir(tree, { recursive: true })).map(path => join(tree, path))
  const names = [`/vmlinuz-${release}`, `/${release}/vmlinuz`]
  const kernelPath = paths.find(path => names.some(name => path.endsWith(name)))
  if (kernelPath === undefined) {
    throw new VmError(
      'ERR_VM_CHECKSUM',
      `The package of ${release} has no vmlinuz: report this, with the release.`,
    )
  }
  const compressed = paths.filter(path => /\.ko(\.xz|\.zst)?$/.test(path))
  await decompress(
    compressed.filter(path => path.endsWith('.xz')),
    'xz',
  )
  await decompress(
    compressed.filter(path => path.endsWith('.zst')),
    'zstd',
  )
  const images = new Map<string, Buffer>()
  const infos = new Map<string, ModuleInfo>()
  for (const path of compressed) {
    const image = await readFile(path.replace(/\.(xz|zst)$/, ''))
    const name = moduleName(path)
    images.set(name, image)
    infos.set(name, moduleInfo(name, image))
  }
  const needed = [...ROOT_MODULES, ...EAGER_MODULES]
  const wanted = [...needed, ...LAZY_MODULES.filter(name => infos.has(name))]
  const { order, missing } = loadOrder(wanted, infos)
  const essential = missing.filter(isListed(['9p', '9pnet_virtio', 'overlay', 'ublk_drv']))
  if (essential.length > 0) {
    throw new VmError(
      'ERR_VM_KERNEL',
      `Kernel ${release} lacks ${essential.join(', ')}: choose another series.`,
    )
  }
  const files: Record<string, string> = {}
  const write = async (path: string, bytes: Uint8Array): Promise<void> => {
    files[path] = sha256Of(bytes)
    await writeFile(join(fresh, path), bytes)
  }
  await write('vmlinuz', await readFile(kernelPath))
  await mkdir(join(fresh, 'modules'))
  for (const name of order) await write(`modules/${name}.ko`, images.get(name)!)
  return { files, loadOrder: order }
}

/** In place, some hundred files a process. */
async function decompress(paths: readonly string[], program: 'xz' | 'zstd'): Promise<void> {
  const flags = program === 'xz' ? ['-d', '-q', '-T0'] : ['-d', '-q', '--rm']
  for (let i = 0; i < paths.length; i += 200)
    await run(program, [...flags, ...paths.slice(i, i + 200)])
}
