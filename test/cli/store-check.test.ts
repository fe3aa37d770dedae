/**
 * `zslab store check`: damage anywhere is found and named, what lives is counted, nothing is written.
 */
import { createHash, randomInt } from 'node:crypto'
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatRanges } from '../../cli/store-check.js'
import { checkStore, open } from '../../store/index.js'
import { zslab } from './fake-daemon.js'
import { here, json, make, randomOf, store, useStore } from './store-directory.js'

const PAGE_BYTES = 4096

useStore()

/** What is in the directory, file by file. */
function digests(): Record<string, string> {
  const names = readdirSync(here.target).sort()
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(here.target, name)))
      .digest('hex')
  return Object.fromEntries(names.map(name => [name, digest(name)]))
}

const fileOf = (zone: number): string => join(here.target, `zone-${String(zone).padStart(5, '0')}`)

/** Flips a bit of a file, and back when it is called again. */
function flip(path: string, at: number, bit: number): void {
  const fd = openSync(path, 'r+')
  const byte = new Uint8Array(1)
  readSync(fd, byte, 0, 1, at)
  byte[0]! ^= 1 << bit
  writeSync(fd, byte, 0, 1, at)
  closeSync(fd)
}

function put(path: string, page: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, PAGE_BYTES, page * PAGE_BYTES)
  closeSync(fd)
}

interface Check {
  isWhole: boolean
  damagedPages: number
  live: number
  zones: { zone: number; pages: number; live: number; damagedPages: number[]; problem: unknown }[]
}

describe('check', () => {
  it('finds a flipped bit wherever it is, says which page, and writes nothing', async () => {
    const seed = randomInt(2 ** 31)
    const random = randomOf(seed)
    await store('fill', '--bytes', '16M', '--objects', '15k', '--ttl-mix', '1h:50,none:50')
    const live = await open({ device: here.target })
    // Marks, and pages behind the last index.
    for (let each = 0; each < 300; each++) await live.delete(`k${String(each).padStart(15, '0')}`)
    await live.set('late', 'x')
    await live.close()
    const whole = await json<Check>('check')
    expect(whole).toMatchObject({ isWhole: true, damagedPages: 0, live: 15_000 - 300 + 1 })
    const before = digests()
    for (let round = 0; round < 40; round++) {
      const zone = whole.zones[random(whole.zones.length)]!
      // Headers and the ends of zones, where indexes are, more often than they are many.
      const page = [0, zone.pages - 1, random(zone.pages)][Math.min(2, random(6))]!
      const path = fileOf(zone.zone)
      const [at, bit] = [page * PAGE_BYTES + random(PAGE_BYTES), random(8)]
      flip(path, at, bit)
      const what = `seed ${seed}, round ${round}: zone ${zone.zone}, page ${page}, byte ${at}, bit ${bit}`
      const { code, out } = await store('check', '--json')
      const found = JSON.parse(out) as Check
      expect({ code, isWhole: found.isWhole }, what).toEqual({ code: 1, isWhole: false })
      const damaged = found.zones.filter(({ damagedPages }) => damagedPages.length > 0)
      expect(
        damaged.map(one => one.zone),
        what,
      ).toEqual([zone.zone])
      expect(damaged[0]!.damagedPages, what).toContain(page)
      expect(found.live, what).toBeLessThanOrEqual(whole.live + 300)
      flip(path, at, bit)
    }
    expect(digests()).toEqual(before)
  })

  it('finds a whole slab in the place of another', async () => {
    const seed = randomInt(2 ** 31)
    const random = randomOf(seed)
    await store('fill', '--bytes', '16M', '--objects', '22k', '--ttl-mix', '1h:50,none:50')
    const { zones } = await json<Check>('check')
    const page = (zone: number, at: number) =>
      new Uint8Array(readFileSync(fileOf(zone)).subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES))
    const slabs = zones.flatMap(({ zone, pages }) =>
      Array.from({ length: pages - 1 }, (_, at) => ({ zone, page: at + 1, isFull: pages === 256 })),
    )
    const isSlab = (bytes: Uint8Array) => bytes[4] === 0x53 && bytes[5] === 0x5a && bytes[7] === 1
    let [inTails, inGroups] = [0, 0]
    while (inTails < 5 || inGroups < 15) {
      const [from, to] = [slabs[random(slabs.length)]!, slabs[random(slabs.length)]!]
      // Behind the last index only pages that are older, or of the same zone, give themselves away.
      if (from === to || (!to.isFull && from.zone !== to.zone)) continue
      const [copy, original] = [page(from.zone, from.page), page(to.zone, to.page)]
      if (!isSlab(copy) || !isSlab(original)) continue
      if (to.isFull) inGroups++
      else inTails++
      put(fileOf(to.zone), to.page, copy)
      const { code, out } = await store('check', '--json')
      const what = `seed ${seed}: page ${from.page} of zone ${from.zone} in page ${to.page} of zone ${to.zone}`
      expect(code, what).toBe(1)
      const found = JSON.parse(out) as Check
      const damaged = found.zones.find(({ zone }) => zone === to.zone)!.damagedPages
      // Of two pages that say the same the second is taken for the copy.
      expect([[to.page], [Math.max(from.page, to.page)]], what).toContainEqual(damaged)
      put(fileOf(to.zone), to.page, original)
    }
    expect((await json<Check>('check')).isWhole).toBe(true)
  })

  it('finds every page of a damaged run, and prints it for people', async () => {
    await make()
    const long = { input: () => Promise.resolve(new Uint8Array(20_000).fill(1)) }
    await zslab(['store', 'set', here.target, 'long', '-', '--ttl', '1h'], long)
    const [zone] = (await json<Check>('check')).zones.filter(({ pages }) => pages >= 6)
    expect(zone).toBeDefined()
    flip(fileOf(zone!.zone), 3 * PAGE_BYTES + 5, 3)
    const { code, out } = await store('check')
    expect(code).toBe(1)
    expect(out).toMatch(/^ZONE +CLASS +PAGES +RECORDS +LIVE +DAMAGED PAGES\n/)
    expect(out).toMatch(/ 1-5\n/)
    expect(out).toContain(`${here.target} is DAMAGED: 5 pages;`)
  })

  it('says what lives: not what was overwritten, deleted, or is past', async () => {
    let nowMs = 1e12
    const clock = { device: here.target, deviceOptions: { bytes: 8 * 2 ** 20 }, now: () => nowMs }
    const life = await open(clock)
    for (let each = 0; each < 100; each++)
      await life.set(`k${each}`, 'x', { ttl: each < 30 ? 1000 : 9000 })
    await life.flush()
    for (let each = 90; each < 100; each++) await life.delete(`k${each}`)
    for (let each = 80; each < 90; each++) await life.set(`k${each}`, 'again', { ttl: 9000 })
    await life.close()
    expect(await checkStore({ device: here.target, nowMs })).toMatchObject({
      records: 110,
      live: 90,
    })
    nowMs += 1000
    expect(await checkStore({ device: here.target, nowMs })).toMatchObject({
      records: 110,
      live: 60,
    })
  })

  it('writes page numbers as ranges', () => {
    expect(formatRanges([])).toBe('')
    expect(formatRanges([3])).toBe('3')
    expect(formatRanges([0, 1, 2, 7, 9, 10])).toBe('0-2, 7, 9-10')
  })
})
