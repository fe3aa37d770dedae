// Operations of the cache between two marks; run with --trace-gc by record-cache-gc.test.ts.
// argv[2]: what to import; argv[3]: how many. Finds of few keys often and many seldom, insertions of what was not found,
// replacements, removals, relocations and expiries.
const { RecordCache, DEADLINE, VERSION } = await import(process.argv[2])

const cache = new RecordCache({ capacityBytes: 4 << 20, meanRecordBytes: 160 })
const key = new Uint8Array(256)
const value = new Uint8Array(256)
const target = new Uint8Array(256)
let random = 1
// Doubles: as variables of a module they would be garbage of this file's own.
const clock = new Float64Array([1.7e12])
const sum = new Float64Array(1)

function next() {
  random ^= random << 13
  random ^= random >>> 17
  random ^= random << 5
  return random >>> 0
}

function work(count) {
  let found = 0
  for (let i = 0; i < count; i++) {
    const draw = next()
    const id = (draw & 3) === 0 ? next() % 200_000 : next() % 10_000
    for (let byte = 0; byte < 4; byte++) key[byte] = id >>> (byte * 8)
    const place = (Math.imul(id, 0x9e3779b1) >>> 14) | 0
    const tag = (Math.imul(id ^ 0x5bd1e995, 0x85ebca6b) >>> 14) | 0
    const kind = (draw >>> 2) & 31
    const valueBytes = kind === 1 ? 64 + ((draw >>> 8) & 127) : 64 + (id & 127)
    const now = clock[0] + 0.25
    clock[0] = now
    const handle = cache.find(key, 16, place, tag)
    if (handle >= 0 && kind > 1) {
      found++
      cache.copyValue(handle, target, 0)
      cache.loadTimes(handle)
      sum[0] += cache.valueBytesOf(handle) + cache.locatorOf(handle)
      if (cache.deadlineOf(handle) < now || cache.versionOf(handle) < 0) cache.expire(handle)
      else if (kind === 2) {
        cache.times[VERSION] = i
        cache.relocate(handle, i)
      }
    } else if (kind === 0) cache.remove(key, 16, place, tag)
    else {
      cache.times[DEADLINE] = kind === 3 ? Infinity : now + (draw >>> 12)
      cache.times[VERSION] = now * 8
      cache.insert(key, 16, place, tag, value, 0, valueBytes, i)
    }
  }
  return found
}

const count = Number(process.argv[3])
work(1_000_000)
globalThis.gc()
process.stdout.write('BEGIN\n')
const found = work(count)
process.stdout.write('END\n')
const { evictions, toMain, rounds, ghostHits } = cache.stats
if (sum[0] === 0 || Math.min(found, evictions, toMain, rounds, ghostHits) < count / 1000)
  throw new Error(`too little was done: ${[found, evictions, toMain, rounds, ghostHits]}`)
