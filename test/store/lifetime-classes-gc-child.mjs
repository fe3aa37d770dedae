// Ten million objects of all TTLs put into classes and noted between two marks; run with --trace-gc by lifetime-classes.test.ts.
// argv[2]: what to import.
const { LifetimeClasses } = await import(process.argv[2])

const classes = new LifetimeClasses({ count: 14, zoneBytes: 2 ** 25, nowMs: 0 })
const ttls = new Float64Array(4096).map((_, i) => (i % 64 === 0 ? Infinity : 2 ** (i / 100)))

function place(count) {
  let sum = 0
  for (let i = 0; i < count; i++) {
    const ttl = ttls[i & 4095]
    sum += classes.classOf(ttl)
    classes.note(ttl, 160)
  }
  return sum
}

place(2_000_000)
classes.learn(1000)
place(2_000_000)
globalThis.gc()
process.stdout.write('BEGIN\n')
const sum = place(10_000_000)
process.stdout.write(`END ${sum}\n`)
