// Ten million decisions of every hot kind between two marks; run with --trace-gc by hot-path-gc.test.ts.
// argv[2]: what to import. The slow path (open, fill, reset) is in it too: a zone fills every 16384 writes.
const model = await import(process.argv[2])

const geometry = model.Geometry.create({
  zoneCount: 16,
  zoneSizeBytes: 2 ** 26,
  maxOpen: 8,
  maxActive: 8,
})
const words = new Int32Array(
  new SharedArrayBuffer(model.ZoneTable.wordsNeeded(geometry, 1, 32) * 4),
)
model.ZoneTable.format(words, geometry, 1, 32)
const table = new model.ZoneTable(words, geometry, 1, 32)
const wps = new Int32Array(4)
const discard = () => 0

function decide(count) {
  let wrong = 0
  for (let done = 0; done < count; done += 32) {
    table.beginBatch(0)
    for (let tag = 0; tag < 32; tag++) {
      const zone = tag & 3
      const kind = (tag >> 2) % 4
      if (wps[zone] === table.capacitySectors) {
        wrong += model.resetZone(table, zone, discard)
        wps[zone] = 0
      }
      if (kind === 0) {
        wrong += model.admitWrite(table, tag, 1, zone, wps[zone], 8)
        wps[zone] += 8
      } else if (kind === 1) {
        wrong += model.admitAppend(table, tag, zone, 8) - wps[zone]
        wps[zone] += 8
      } else if (kind === 2) {
        wrong += model.admitRead(table, zone, tag * 8, 8)
      } else {
        wrong += model.admitWrite(table, tag, 1, zone, wps[zone], 8)
        wrong += model.undoWrite(table, tag) ? 0 : 1
      }
    }
  }
  return wrong
}

const warmUp = decide(2_000_000)
globalThis.gc()
process.stdout.write(`BEGIN ${warmUp}\n`)
const wrong = decide(10_000_000)
process.stdout.write(`END ${wrong}\n`)
