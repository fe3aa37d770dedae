/**
 * The program that store-restart.ts kills and starts again: the least that serves an object of a store. It imports the package
 * as its users do, and nothing of the bench.
 *
 * Run: node dist/bench/restart-program.js DIRECTORY KEY. One line of JSON when the object is there; then it waits to be killed.
 */
const [directory, key] = process.argv.slice(2) as [string, string]
const startMs = performance.now()
const { open } = await import('zns-slab')
const openMs = performance.now()
const before = process.cpuUsage()
const store = await open({ device: directory })
const value = await store.get(key)
const endMs = performance.now()
const { user, system } = process.cpuUsage(before)
console.log(
  `@answer ${JSON.stringify({
    modulesMs: openMs - startMs,
    openMs: endMs - openMs,
    cpuMs: (user + system) / 1000,
    objects: store.size,
    value: value?.toString('hex'),
  })}`,
)
