/** The lock of the kernel cache: who waits, who takes over, and what is said meanwhile. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type LockTimes, withLock } from '../../vm/cache.js'

/** In the order of the real ones, and short. */
const TIMES: LockTimes = { beatMs: 5, staleMs: 300, deadMs: 60, noticeMs: 30, pollMs: 5 }
const NEVER = { ...TIMES, staleMs: 3_600_000 }

let folder: string
let path: string
let said: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zslab-lock-'))
  path = join(folder, 'x.lock')
  said = ''
  vi.spyOn(process.stderr, 'write').mockImplementation(text => {
    said += text
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

const done = () => Promise.resolve('done')

it('runs the body, names its process in the file, and leaves nothing', async () => {
  const text = await withLock(path, async () => readFileSync(path, 'utf8'))
  expect(Number.parseInt(text, 10)).toBe(process.pid)
  expect(readdirSync(folder)).toEqual([])
})

it('lets nobody in twice, in one process either', async () => {
  let inside = 0
  const body = async () => {
    expect(++inside).toBe(1)
    await new Promise(resolve => setTimeout(resolve, TIMES.deadMs * 3))
    inside--
  }
  await Promise.all([
    withLock(path, body, TIMES),
    withLock(path, body, TIMES),
    withLock(path, body, TIMES),
  ])
})

it.each([
  ['an empty one, of a process killed before it wrote its name', ''],
  ['one that names nobody', 'nonsense'],
  ['one with our own pid that we do not hold', String(process.pid)],
  ['one of a dead process', '4194303'],
])('takes over %s', async (_, content) => {
  writeFileSync(path, content)
  expect(await withLock(path, done, NEVER)).toBe('done')
  expect(readdirSync(folder)).toEqual([])
})

it('takes over one whose pid lives but whose owner does not touch it any more', async () => {
  writeFileSync(path, String(process.ppid))
  expect(await withLock(path, done, TIMES)).toBe('done')
})

it('waits for a living owner that touches it, and says for whom', async () => {
  writeFileSync(path, `${process.ppid}-other`)
  let isFree = false
  let beats = 0
  const beat = setInterval(() => utimesSync(path, new Date(), new Date(++beats * 1000)), 5)
  const waiting = withLock(path, async () => isFree, TIMES)
  await vi.waitFor(() => expect(said).toContain(`waiting for process ${process.ppid}`))
  // Longer than an owner that does nothing is believed in.
  await vi.waitFor(() => expect(beats).toBeGreaterThan((TIMES.staleMs * 2) / 5), 60_000)
  clearInterval(beat)
  isFree = true
  rmSync(path)
  expect(await waiting).toBe(true)
  expect(said.split('\n').filter(line => line !== '')).toHaveLength(1)
})
