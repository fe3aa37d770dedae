// Writers of regions and a tierer, each a thread over the same media; or this file run by itself, with all of them, until it
// is killed. What each writer has done lies in a journal in shared memory, so that whoever comes after can judge what it reads.
import { join } from 'node:path'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export const BLOCK = 512
export const PAGES = 128
export const REGION_BYTES = PAGES * 4096
export const BLOCKS = REGION_BYTES / BLOCK
export const REGIONS = 6
export const BYTES = REGIONS * REGION_BYTES
export const WRITERS = 2
// Of the words that the threads share: a count of turns for each writer, how many writers have ended, the region in work.
const ENDED = WRITERS
const TARGET = WRITERS + 1
// Of a region in the journal: words, then a version a block.
export const [GENERATION, WP, OP, OP_FROM, OP_TO] = [0, 1, 2, 3, 4]
export const [OP_NONE, OP_APPEND, OP_REWRITE, OP_RESET] = [0, 1, 2, 3]
const WORDS = 8
const JOURNAL_BYTES = REGIONS * (WORDS * 4 + BLOCKS)
export const journalBytes = Math.ceil(JOURNAL_BYTES / 4096) * 4096

export const mediaOptions = directory => ({
  directory,
  tier: join(directory, 'tier'),
  bytes: BYTES,
  regionBytes: REGION_BYTES,
  sameFill: true,
  compression: 'lz4',
  spareBytes: 16 * 4096,
})

export function journalOf(buffer, region) {
  const words = new Int32Array(buffer, region * WORDS * 4, WORDS)
  const versions = new Uint8Array(buffer, REGIONS * WORDS * 4 + region * BLOCKS, BLOCKS)
  return { words, versions }
}

const ZEROS = new Uint8Array(REGION_BYTES)

const hash = (...parts) => {
  let h = 0x811c9dc5
  for (const part of parts) h = Math.imul(h ^ part, 0x01000193) ^ (h >>> 13)
  return (h ^ (h >>> 15)) >>> 0
}

/** A block: of a page that does not shrink, that shrinks, or that is the same all over. */
export function fillBlock(target, region, generation, block, version) {
  const kind = hash(region, generation, block >> 3) % 4
  let state = hash(region, generation, kind === 2 ? block >> 3 : block, version) | 1
  if (kind === 2) return target.fill(state & 0xff)
  if (kind === 1) {
    for (let i = 0; i < BLOCK; i++)
      target[i] = i % 16 < 4 ? state >>> ((i % 4) * 8) : 0x61 + (i % 16)
    return target
  }
  const words = new Uint32Array(target.buffer, target.byteOffset, BLOCK / 4)
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return target
}

class Writer {
  constructor(media, buffer, task) {
    this.media = media
    this.task = task
    this.state = task.seed + task.index * 7919
    this.regions = []
    for (let region = task.index; region < REGIONS; region += WRITERS) this.regions.push(region)
    this.journals = Array.from({ length: REGIONS }, (_, region) => journalOf(buffer, region))
    this.bytes = new Uint8Array(REGION_BYTES)
    this.expected = new Uint8Array(BLOCK)
  }

  below(limit) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0
    return (this.state >>> 8) % limit
  }

  /** One extent, of blocks or of whole pages; null when there is none. */
  extent(from, to) {
    if (this.below(2) === 0) {
      const first = Math.ceil(from / 8) * 8
      const pages = (to - first) >> 3
      if (pages < 1) return null
      return [first, first + 8 * (1 + this.below(Math.min(pages, 8)))]
    }
    return from === to ? null : [from, from + 1 + this.below(Math.min(to - from, 20))]
  }

  begin(words, op, from, to) {
    words[OP_FROM] = from
    words[OP_TO] = to
    Atomics.store(words, OP, op)
  }

  write(region, op, [from, to]) {
    const { words, versions } = this.journals[region]
    const version = op === OP_APPEND ? 0 : 1
    this.begin(words, op, from, to)
    const part = this.bytes.subarray(0, (to - from) * BLOCK)
    for (let block = from; block < to; block++) {
      const at = (block - from) * BLOCK
      const next = op === OP_APPEND ? 0 : (versions[block] + version) & 0xff
      fillBlock(part.subarray(at, at + BLOCK), region, words[GENERATION], block, next)
    }
    const wrote = this.media.write(region * REGION_BYTES + from * BLOCK, part)
    // Each rewrite takes its place again: the region's part is used up.
    if (wrote === -28) return this.reset(region)
    if (wrote !== part.length) throw new Error(`write ${wrote}`)
    for (let block = from; block < to; block++)
      versions[block] = op === OP_APPEND ? 0 : versions[block] + version
    if (op === OP_APPEND) words[WP] = to
    Atomics.store(words, OP, OP_NONE)
  }

  reset(region) {
    const { words } = this.journals[region]
    this.begin(words, OP_RESET, 0, BLOCKS)
    const result = this.media.recycle(region * REGION_BYTES, REGION_BYTES)
    if (result !== 0) throw new Error(`recycle ${result}`)
    words[WP] = 0
    words[GENERATION] += 1
    Atomics.store(words, OP, OP_NONE)
    this.media.read(region * REGION_BYTES, this.bytes)
    if (Buffer.compare(this.bytes, ZEROS) !== 0) throw new Error(`region ${region} is not empty`)
  }

  check(region, from, to) {
    const { words, versions } = this.journals[region]
    const part = this.bytes.subarray(0, (to - from) * BLOCK)
    const got = this.media.read(region * REGION_BYTES + from * BLOCK, part)
    if (got !== part.length) throw new Error(`read ${got}`)
    for (let block = from; block < to; block++) {
      fillBlock(this.expected, region, words[GENERATION], block, versions[block])
      const at = (block - from) * BLOCK
      if (Buffer.compare(part.subarray(at, at + BLOCK), this.expected) === 0) continue
      throw new Error(`region ${region} block ${block} of write pointer ${words[WP]} differs`)
    }
  }

  step() {
    // Most of the time where the tierer is just now.
    const target = Atomics.load(this.task.turns, TARGET)
    const isMine = this.regions.includes(target) && this.below(4) > 0
    const region = isMine ? target : this.regions[this.below(this.regions.length)]
    const { words } = this.journals[region]
    const wp = words[WP]
    const op = this.below(20)
    if (op < (isMine && wp > BLOCKS / 2 ? 6 : 1)) return this.reset(region)
    if (op < 10 && wp < BLOCKS) {
      // In order, so that pages begin where the last block ended.
      const to = Math.min(
        BLOCKS,
        wp + (op < 4 ? 1 + this.below(20) : 8 * (1 + this.below(8)) - (wp % 8)),
      )
      return this.write(region, OP_APPEND, [wp, to])
    }
    const from = this.below(wp + 1)
    const extent = op === 10 && from < wp ? [from, from + 1] : this.extent(from, wp)
    if (extent === null) return
    if (op < 13) this.write(region, OP_REWRITE, extent)
    else this.check(region, ...extent)
  }
}

/** As daemon/tierer.ts has to: a slot that was dropped, and memory, are given on when every writer has begun another turn. */
function demoteAll(media, task, turns, isOver) {
  let state = task.seed
  const below = limit => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % limit
  }
  const free = new Set(Array.from({ length: REGIONS }, (_, i) => i + 1))
  for (const { slot } of media.stats().regions) free.delete(slot)
  const tally = { moved: 0, changed: 0, dropped: 0 }
  while (!isOver()) {
    const cooling = []
    for (const [region, { slot, tier }] of media.stats().regions.entries()) {
      if (slot === 0 || tier.pages > 0 || below(3) > 0) continue
      if (media.dropSlot(region) !== 0) throw new Error('drop')
      tally.dropped++
      cooling.push(slot)
    }
    const { regions } = media.stats()
    const touched = [1, 2].map(() => below(REGIONS))
    for (const region of touched) {
      Atomics.store(turns, TARGET, region)
      const [first] = free
      const slot = regions[region].slot || first
      if (slot === undefined) continue
      const { result, bytes } = media.demote(
        region,
        slot,
        below(8),
        PAGES - below(8),
        (4 << below(2)) | 4,
      )
      if (bytes > 0) {
        free.delete(slot)
        regions[region].slot = slot
      }
      if (result === 0) tally.moved += bytes
      else if (result === -11) tally.changed++
      else throw new Error(`demote ${result}`)
    }
    const seen = Array.from(turns)
    for (let queue = 0; queue < WRITERS && task.waits; queue++)
      while (Atomics.load(turns, queue) === seen[queue] && !isOver())
        Atomics.wait(turns, queue, seen[queue], 1)
    if (isOver()) break
    for (const slot of cooling) free.add(slot)
    for (const region of touched) if (media.release(region) !== 0) throw new Error('release')
  }
  return tally
}

async function runThread(task) {
  const { mapShared, openMedia } = await import(task.url)
  const media = openMedia({ ...mediaOptions(task.directory), create: false })
  const { turns } = task
  if (task.index === WRITERS) {
    const isOver = () => Atomics.load(turns, ENDED) === WRITERS
    const tally = demoteAll(media, task, turns, isOver)
    media.close()
    return tally
  }
  const buffer = mapShared(join(task.directory, 'journal'), journalBytes, false)
  const writer = new Writer(media, buffer, task)
  for (let step = 0; step < task.steps; step++) {
    Atomics.add(turns, task.index, 1)
    writer.step()
  }
  Atomics.add(turns, task.index, 1)
  Atomics.add(turns, ENDED, 1)
  media.close()
  return null
}

/** All threads over a media that is there. */
export function startThreads(task, env) {
  const turns = new Int32Array(new SharedArrayBuffer(4 * (WRITERS + 2)))
  return Array.from({ length: WRITERS + 1 }, (_, index) => {
    const own = { ...task, turns, index }
    return new Worker(new URL(import.meta.url), { workerData: own, env })
  })
}

if (!isMainThread && workerData?.turns !== undefined) {
  parentPort.postMessage(await runThread(workerData))
} else if (isMainThread && process.argv[2] === 'until-killed') {
  const [url, directory, seed] = process.argv.slice(3)
  const task = { url, directory, seed: Number(seed), steps: 2 ** 30, waits: true }
  for (const worker of startThreads(task, process.env))
    worker.on('error', error => {
      process.stderr.write(`${error.stack}\n`)
      process.exit(1)
    })
}
