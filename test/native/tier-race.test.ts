/**
 * Demotions beside writers that append, rewrite, reset and read: nothing is lost, nothing comes back from before a reset, and a
 * process that is killed at any moment leaves what it had acknowledged.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { addonPath, mapShared, type NativeMedia, openMedia } from '../../ublk-native/index.js'
import { type Compiled, compile } from '../fakes/compiled.js'
import { random } from './random.js'
import * as race from './tier-race.mjs'

const STEPS = 40_000
const KILLS = 12

let native: Compiled
let directory: string
beforeAll(() => {
  native = compile(['ublk-native'])
})
afterAll(() => native.remove())
beforeEach(() => {
  directory = mkdtempSync('/dev/shm/zslab-tier-race-')
  const options = race.mediaOptions(directory)
  writeFileSync(options.tier, '')
  const media = openMedia({ ...options, create: true })
  truncateSync(options.tier, race.REGIONS * media.slotBytes)
  media.close()
  mapShared(join(directory, 'journal'), race.journalBytes, true)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** What a block may be, after whatever was under way: before it, and after it. */
function mayBe(
  region: number,
  block: number,
  journal: ReturnType<typeof race.journalOf>,
): Uint8Array[] {
  const { words, versions } = journal
  const make = (version: number): Uint8Array =>
    race.fillBlock(new Uint8Array(race.BLOCK), region, words[race.GENERATION]!, block, version)
  const isUnderWay = block >= words[race.OP_FROM]! && block < words[race.OP_TO]!
  const op = isUnderWay ? words[race.OP]! : race.OP_NONE
  const isWritten = block < words[race.WP]!
  const zeros = new Uint8Array(race.BLOCK)
  const now = isWritten ? make(versions[block]!) : zeros
  if (op === race.OP_APPEND) return [zeros, make(0)]
  if (op === race.OP_REWRITE) return [now, make((versions[block]! + 1) & 0xff)]
  return op === race.OP_RESET ? [now, zeros] : [now]
}

/**
 * Whether a block is one of what it may be. What was being written when the process died may be partly there, within a block
 * as well: the copy of a part of a page into memory is no system call, and the kernel issues the request again
 * (UBLK_F_USER_RECOVERY_REISSUE). Seen in CI with seed 293979683.
 */
function isAllowed(found: Uint8Array, allowed: readonly Uint8Array[], words: Int32Array): boolean {
  if (allowed.some(one => Buffer.compare(one, found) === 0)) return true
  if (words[race.OP] === race.OP_RESET || allowed.length === 1) return false
  return found.every((byte, i) => allowed.some(one => one[i] === byte))
}

function verify(media: NativeMedia, what: string): void {
  const buffer = new Uint8Array(readFileSync(join(directory, 'journal'))).buffer
  const bytes = new Uint8Array(race.REGION_BYTES)
  for (let region = 0; region < race.REGIONS; region++) {
    const journal = race.journalOf(buffer, region)
    expect(media.read(region * race.REGION_BYTES, bytes), what).toBe(bytes.length)
    for (let block = 0; block < race.BLOCKS; block++) {
      const found = bytes.subarray(block * race.BLOCK, (block + 1) * race.BLOCK)
      if (isAllowed(found, mayBe(region, block, journal), journal.words)) continue
      expect.fail(`${what}: region ${region} block ${block} differs, journal ${journal.words}`)
    }
  }
}

test('two writers and a tierer', async () => {
  const { seed } = random('tier race')
  const env = { ...process.env, ZSLAB_ADDON: addonPath() }
  const task = {
    url: native.url('ublk-native/index.js'),
    directory,
    seed,
    steps: STEPS,
    waits: true,
  }
  const workers = race.startThreads(task, env)
  const answers = await Promise.all(workers.map(worker => once(worker, 'message')))
  const [tally] = answers[race.WRITERS] as [{ moved: number; changed: number; dropped: number }]
  console.log(`tier race: ${JSON.stringify(tally)}`)
  expect(tally.moved).toBeGreaterThan(4 << 20)
  expect(tally.changed).toBeGreaterThan(0)
  expect(tally.dropped).toBeGreaterThan(0)
  const media = openMedia({ ...race.mediaOptions(directory), create: false })
  verify(media, `seed ${seed}`)
  // What is counted as given back is given back; of pages that were rewritten since, it may be more.
  for (let region = 0; region < race.REGIONS; region++) expect(media.release(region)).toBe(0)
  const { memoryBytes } = media.stats()
  const blockBytes = statSync(join(directory, 'data')).blocks * 512
  expect(blockBytes).toBeLessThanOrEqual(memoryBytes)
  expect(blockBytes).toBeGreaterThan(memoryBytes / 2)
  for (let region = 0; region < race.REGIONS; region++)
    expect(media.recycle(region * race.REGION_BYTES, race.REGION_BYTES)).toBe(0)
  expect(media.stats()).toMatchObject({ rawPages: 0, compressedPages: 0, tier: { pages: 0 } })
  expect(media.stats().memoryBytes).toBe(media.stats().spareBytes)
  media.close()
})

test('killed at any moment, and again', async () => {
  const rng = random('tier kill')
  const script = fileURLToPath(new URL('./tier-race.mjs', import.meta.url))
  let tiered = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const seed = rng.seed + kill
    const child = spawn(
      process.execPath,
      [script, 'until-killed', native.url('ublk-native/index.js'), directory, `${seed}`],
      {
        env: { ...process.env, ZSLAB_ADDON: addonPath() },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    )
    const exit = once(child, 'exit')
    const wanted = written() + 4000 + rng.below(8000)
    while (written() < wanted && child.exitCode === null) await setImmediate()
    child.kill('SIGKILL')
    const [code, signal] = (await exit) as [number | null, string | null]
    expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
    const media = openMedia({ ...race.mediaOptions(directory), create: false })
    verify(media, `seed ${rng.seed} kill ${kill}`)
    const { memoryBytes, tier } = media.stats()
    tiered += tier.pages
    // A writer may have been about to count what it had just reserved, or to give back what it had just forgotten.
    const uncounted = race.WRITERS * media.slotBytes
    expect(statSync(join(directory, 'data')).blocks * 512).toBeLessThanOrEqual(
      memoryBytes + uncounted,
    )
    media.close()
    // The next begins where this one was: what was under way is settled as whatever is there now.
    settle()
  }
  expect(tiered).toBeGreaterThan(0)
})

/** How much has been written, in blocks, as far as the journal tells. */
function written(): number {
  const buffer = new Uint8Array(readFileSync(join(directory, 'journal'))).buffer
  let blocks = 0
  for (let region = 0; region < race.REGIONS; region++) {
    const { words } = race.journalOf(buffer, region)
    blocks += words[race.GENERATION]! * race.BLOCKS + words[race.WP]!
  }
  return blocks
}

/** Regions with an operation under way are emptied, so that the next process knows what they hold. */
function settle(): void {
  const buffer = mapShared(join(directory, 'journal'), race.journalBytes, false)
  const media = openMedia({ ...race.mediaOptions(directory), create: false })
  for (let region = 0; region < race.REGIONS; region++) {
    const { words } = race.journalOf(buffer, region)
    if (words[race.OP] === race.OP_NONE) continue
    expect(media.recycle(region * race.REGION_BYTES, race.REGION_BYTES)).toBe(0)
    words[race.WP] = 0
    words[race.GENERATION]! += 1
    words[race.OP] = race.OP_NONE
  }
  media.close()
}
