/**
 * The kernel cache on disk: where it is, how two processes share it, how what is in it is trusted.
 *
 * Layout: <root>/kernels/<series>/{manifest.json, vmlinuz, modules/*.ko}
 * Guarantees: a series' folder is complete or absent (written beside and renamed); it is used only if every file still has
 * the checksum that its manifest recorded; one writer at a time (a lock whose dead owner is found by its pid).
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Raised whenever what is kept of a kernel changes: older caches are then fetched anew. */
export const MANIFEST_FORMAT = 2

/** What a cached kernel is: where it came from, its files' checksums, its modules in load order. */
export interface KernelManifest {
  readonly format: number
  readonly series: string
  /** As in `uname -r`. */
  readonly release: string
  readonly packages: readonly { readonly url: string; readonly sha256: string }[]
  /** True when the archive's signature was checked with gpgv, false when this host could not. */
  readonly signatureChecked: boolean
  /** SHA256 by path relative to the series' folder. */
  readonly files: Readonly<Record<string, string>>
  /** Every cached module, dependencies first. */
  readonly loadOrder: readonly string[]
}

/** `$ZSLAB_CACHE`, or zslab in `$XDG_CACHE_HOME`, or in ~/.cache. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['ZSLAB_CACHE']
  if (own !== undefined && own !== '') return own
  const xdg = env['XDG_CACHE_HOME']
  const base = xdg !== undefined && xdg !== '' ? xdg : join(homedir(), '.cache')
  return join(base, 'zslab')
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The manifest of a whole and unharmed cached kernel, or undefined. */
export async function readCachedKernel(folder: string): Promise<KernelManifest | undefined> {
  try {
    const text = await readFile(join(folder, 'manifest.json'), 'utf8')
    const manifest = JSON.parse(text) as KernelManifest
    if (manifest.format !== MANIFEST_FORMAT) return undefined
    for (const [path, sha256] of Object.entries(manifest.files)) {
      if (sha256Of(await readFile(join(folder, path))) !== sha256) return undefined
    }
    return manifest
  } catch {
    return undefined
  }
}

/** Puts `folder.new` in the place of `folder`. */
export async function replaceFolder(folder: string, fresh: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await rename(fresh, folder)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Runs `body` while holding `path` (a file with our pid). Waits for a living owner, takes over from a dead one. */
export async function withLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  await mkdir(join(path, '..'), { recursive: true })
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''))
    if (owner > 0 && owner !== process.pid && !isAlive(owner)) {
      // Renaming decides between two that found the same dead owner: only one of them can move this very file away.
      const grave = `${path}.${process.pid}`
      await rename(path, grave)
        .then(() => unlink(grave))
        .catch(() => {})
      continue
    }
    await delay(200)
  }
  try {
    return await body()
  } finally {
    await unlink(path)
  }
}
