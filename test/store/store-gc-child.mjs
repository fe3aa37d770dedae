/**
 * Gets or sets, between the marks as many as the third argument says; the store is the module that the first one names. Sets overwrite,
 * and push zones out. The clock is a constant: that of the system makes a number for each call, which is V8's and not ours.
 */
const [, , url, mode, count] = process.argv
const { open, createMemoryDrive } = await import(url)

const KEYS = 20_000
const geometry = { zoneCount: 16, zoneSizeBytes: 1024 * 1024, maxActive: 4 }
const store = await open({ device: createMemoryDrive(geometry), now: () => 1e12 })
const keys = Array.from({ length: KEYS }, (_, at) => Buffer.from(`key:${at}`.padEnd(16, '.')))
const value = Buffer.alloc(128, 'v')
const target = Buffer.alloc(256)
let wrong = 0

function set(operations) {
  for (let at = 0; at < operations; at++) store.setSync(keys[(at * 7919) % KEYS], value, 3_600_000)
}

function get(operations) {
  for (let at = 0; at < operations; at++) {
    if (store.getInto(keys[(at * 104729) % KEYS], target) !== 128) wrong++
  }
}

const work = mode === 'get' ? get : set
set(1e6)
work(1e6)
globalThis.gc()
console.log('BEGIN')
work(Number(count))
console.log(wrong === 0 ? 'END ok' : `END ${wrong} wrong`)
await store.close()
