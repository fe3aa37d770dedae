/**
 * Sets and gets, between the marks as many as the second argument says; the store is the module that the first one names. Half are
 * gets, half are overwrites. The clock is a constant: that of the system makes a number for each call, which is V8's and not ours.
 */
const [, , url, count] = process.argv
const { open, createMemoryDrive } = await import(url)

const KEYS = 20_000
const geometry = { zoneCount: 16, zoneSizeBytes: 1024 * 1024, maxActive: 4 }
const store = await open({ device: createMemoryDrive(geometry), now: () => 1e12 })
const keys = Array.from({ length: KEYS }, (_, at) => Buffer.from(`key:${at}`.padEnd(16, '.')))
const value = Buffer.alloc(128, 'v')
const target = Buffer.alloc(256)
let wrong = 0

function work(operations) {
  for (let at = 0; at < operations; at += 2) {
    const key = keys[(at * 7919) % KEYS]
    store.setSync(key, value, 3_600_000)
    const length = store.getInto(keys[(at * 104729) % KEYS], target)
    if (length !== 128 && length !== -1) wrong++
  }
}

work(1e6)
globalThis.gc()
console.log('BEGIN')
work(Number(count))
console.log(wrong === 0 ? 'END ok' : `END ${wrong} wrong`)
await store.close()
