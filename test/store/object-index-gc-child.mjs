// Ten million hashes, searches and changes between two marks; run with --trace-gc by object-index-gc.test.ts.
// argv[2], argv[3]: where ObjectIndex and KeyHash are; argv[4]: how many rounds of ten operations. Zones are opened and dropped in it, and the table grows.
const { ObjectIndex } = await import(process.argv[2])
const { KeyHash } = await import(process.argv[3])

const PAGES = 256
const PER_PAGE = 28
const index = new ObjectIndex({ pagesPerZone: PAGES, zones: 64 })
const hash = new KeyHash(1, 2)
const key = new Uint8Array(16)
const words = new Uint32Array(key.buffer)
const zones = new Int32Array(16)
let next = 0
let seed = 1
let zone = 0
let inZone = PAGES * PER_PAGE

function random() {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return seed
}

function hashOf(i) {
  words[0] = i
  return hash.hash(key)
}

function insert() {
  if (inZone === PAGES * PER_PAGE) {
    const at = next++ & 15
    if (zones[at] !== 0) index.dropZone(zones[at])
    zone = zones[at] = index.openZone()
    inZone = 0
  }
  const i = random() & 0x1ffff
  hashOf(i)
  const locator = zone * PAGES + ((inZone++ / PER_PAGE) | 0)
  const count = index.find(hash.place, hash.tag)
  // An object that is there moves; one that is not comes.
  if (count === 0) return index.insert(hash.place, hash.tag, locator) ? 0 : 1
  return index.replace(hash.place, hash.tag, index.found[0], locator) ? 0 : 1
}

function look() {
  hashOf(random() & 0x1ffff)
  const count = index.find(hash.place, hash.tag)
  if (count === 0 || (random() & 7) !== 0) return 0
  return index.remove(hash.place, hash.tag, index.found[0]) ? 0 : 1
}

/** A round is two hashes, two searches and a change for each of two, and a removal now and then: ten operations. */
function operate(rounds) {
  let wrong = 0
  for (let i = 0; i < rounds; i++) wrong += insert() + look() + insert() + look()
  return wrong
}

const warmUp = operate(200_000)
globalThis.gc()
process.stdout.write(`BEGIN ${warmUp}\n`)
const wrong = operate(Number(process.argv[4]))
process.stdout.write(`END ${wrong}\n`)
