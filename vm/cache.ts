/**
 * The kernel cache on disk: where it is, how two processes share it, how what is in it is trusted.
 *
 * Layout: <root>/kernels/<series>/{manifest.json, vmlinuz, modules/*.ko}
 * Guarantees: a series' folder is complete or absent (written beside and renamed); it is used only if every file still has
 * the checksum that its manifest recorded; one writer at a time (a lock whose dead owner is found: see withLock).
 */
import { createHash, randomUUID } from 'node:crypto'
import {
  link,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
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

/** How long a lock's waiter and owner wait for what; a test is less patient. */
export interface LockTimes {
  /** The owner says that it lives this often, by the time of the file. */
  readonly beatMs: number
  /** A lock that has not changed for so long has no owner any more, whatever its pid (which may be another's by now) says. */
  readonly staleMs: number
  /** So too, and sooner, when it names nobody who lives here. Several beats: he may live in another container. */
  readonly deadMs: number
  /** What is waited for is said after so long. */
  readonly noticeMs: number
  readonly pollMs: number
}

const LOCK_TIMES: LockTimes = {
  beatMs: 1000,
  staleMs: 60_000,
  deadMs: 5000,
  noticeMs: 3000,
  pollMs: 200,
}

/** What is known of somebody else's lock: its content and time as one string, and its owner (0: names nobody). */
interface Lock {
  readonly state: string
  readonly owner: number
}

async function readLock(path: string): Promise<Lock | null> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    const owner = /^[1-9]\d*/.exec(text)?.[0] ?? '0'
    return { state: `${text} ${mtimeMs}`, owner: Number(owner) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Locks that this process holds: one with our pid that is not among them was left by another process of that pid. */
const held = new Set<string>()

/** How long a lock must stay as it is to be nobody's. Measured by who waits: clocks and pids of others say little. */
function patienceMs(path: string, { owner }: Lock, times: LockTimes): number {
  if (owner === process.pid) return held.has(path) ? Number.POSITIVE_INFINITY : times.deadMs
  return owner > 0 && isAlive(owner) ? times.staleMs : times.deadMs
}

/** Renaming decides between two that found the same dead owner: only one of them can move this very file away. */
async function bury(path: string, mark: string): Promise<void> {
  const grave = `${path}.${mark}.old`
  await rename(path, grave)
    .then(() => unlink(grave))
    .catch(() => {})
}

/** Linked and not written in place: a lock is never seen empty. False when somebody has it. */
async function tryLock(path: string, mark: string): Promise<boolean> {
  const fresh = `${path}.${mark}`
  await writeFile(fresh, mark)
  try {
    await link(fresh, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    await unlink(fresh)
  }
}

async function acquire(path: string, mark: string, times: LockTimes): Promise<void> {
  const beganMs = performance.now()
  let seen = ''
  let seenMs = beganMs
  let isSaid = false
  while (!(await tryLock(path, mark))) {
    const lock = await readLock(path)
    if (lock === null) continue
    const nowMs = performance.now()
    if (lock.state !== seen) {
      seen = lock.state
      seenMs = nowMs
    }
    if (nowMs - seenMs >= patienceMs(path, lock, times)) {
      await bury(path, mark)
      continue
    }
    if (!isSaid && nowMs - beganMs >= times.noticeMs) {
      isSaid = true
      const who = lock.owner === 0 ? 'somebody' : `process ${lock.owner}`
      process.stderr.write(`waiting for ${who}, who has ${path} (remove it if that is wrong)\n`)
    }
    await delay(times.pollMs)
  }
}

/**
 * Runs `body` while holding `path` (a file that begins with our pid). Waits for a living owner, and says so after some
 * seconds; takes over from one that is dead, or has not touched the file for a minute.
 */
export async function withLock<T>(
  path: string,
  body: () => Promise<T>,
  times: LockTimes = LOCK_TIMES,
): Promise<T> {
  await mkdir(join(path, '..'), { recursive: true })
  const mark = `${process.pid}-${randomUUID()}`
  await acquire(path, mark, times)
  held.add(path)
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, times.beatMs)
  beat.unref()
  try {
    return await body()
  } finally {
    clearInterval(beat)
    held.delete(path)
    // Not what another has put there, who thought us dead.
    if ((await readFile(path, 'utf8').catch(() => '')) === mark) await unlink(path)
  }
}
