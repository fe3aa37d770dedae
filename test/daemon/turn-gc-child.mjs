// Turns of a planner between two marks; run with --trace-gc by turn-gc.test.ts.
// argv[2]: where the compiled project is. argv[3]: what the device does beside its work; argv[4]: how many turns. Zone commands are in it as often as they
// are in life: they may allocate (a closure each), data may not.
const [, , base, mode, turns] = process.argv
const load = path => import(`${base}/${path}`)
const model = await load('zone-model/index.js')
const native = await load('ublk-native/index.js')
const { Planner } = await load('daemon/plan.js')
const { Requests } = await load('daemon/requests.js')
const { RequestGate } = await load('daemon/gate.js')
const { ModelledDrive } = await load('daemon/drive-time.js')
const { LATENCY_PROFILES } = await load('daemon/latency-profiles.js')
const { FaultRules, faultWords, FAULT_FILE_BYTES } = await load('daemon/fault-rules.js')
const { FaultOrders } = await load('daemon/fault-orders.js')
const { SharedState } = await load('daemon/shared-state.js')
const { TraceRing, traceBytes } = await load('daemon/trace-ring.js')

const DEPTH = 32
const ZONES = 8
const SECTORS = 8
/** One write in so many fails at first; one request in so many closes a zone. Primes. */
const FAILS = 61
const CLOSES = 65521
const { COMMAND_WORDS, DESCRIPTOR_WORDS, TAG_FAILED } = native

const geometry = model.Geometry.create({ zoneCount: ZONES, zoneSizeBytes: 2 ** 26 })
const buffer = new SharedArrayBuffer(SharedState.bytesNeeded(geometry, 1, DEPTH))
SharedState.format(buffer, geometry, 1, DEPTH)
const state = new SharedState(buffer, geometry, 1, DEPTH)
const media = { discard: () => 0, recycle: () => 0, flush: () => 0 }
const nowUs = new Float64Array(1)
const queue = {
  descriptors: new Uint32Array(DEPTH * DESCRIPTOR_WORDS),
  tags: new Uint16Array(DEPTH),
  commands: new Int32Array(DEPTH * COMMAND_WORDS),
  clock: new Float64Array(2),
  wakeIn: () => {},
}

function openGate() {
  const requests = new Requests(queue.descriptors, geometry)
  const words = faultWords(new SharedArrayBuffer(FAULT_FILE_BYTES))
  if (mode === 'delays') new FaultOrders(words, ZONES).add({ op: 'append', delayMs: 1 }, 1)
  const profile = LATENCY_PROFILES.zn540
  const drive = mode === 'latency' ? new ModelledDrive(profile, geometry, requests) : null
  const readClock = nowMs => {
    nowMs[0] = nowUs[0] / 1000
  }
  return new RequestGate(new FaultRules(words, requests, 8), drive, queue, DEPTH, readClock)
}

const traceMemory = new SharedArrayBuffer(traceBytes(1))
/** Head and tail of the ring (daemon/trace-ring.ts). */
const ringWords = new Int32Array(traceMemory, 64)
const rings = { open: () => new TraceRing(traceMemory, 0), close: () => {} }
if (mode === 'recorded') state.recording = 1

const planner = new Planner(queue, state, geometry, media, 0, DEPTH, { gate: openGate() }, rings)

const free = new Int32Array(DEPTH).map((_, i) => i)
let freeCount = DEPTH
const OPS = [
  model.UBLK_IO_OP_ZONE_APPEND,
  model.UBLK_IO_OP_READ,
  model.UBLK_IO_OP_ZONE_APPEND,
  model.UBLK_IO_OP_FLUSH,
]
const appended = new Int32Array(ZONES)
const zoneAppends = geometry.zoneSizeSectors / SECTORS
let requests = 0
let failed = 0
let writes = 0

function deliver(at) {
  const tag = free[--freeCount]
  const zone = requests % ZONES
  let op = OPS[requests % OPS.length]
  if (++requests % CLOSES === 0) op = model.UBLK_IO_OP_ZONE_CLOSE
  if (appended[zone] === zoneAppends) {
    op = model.UBLK_IO_OP_ZONE_RESET
    appended[zone] = 0
  } else if (op === model.UBLK_IO_OP_ZONE_APPEND) appended[zone]++
  const d = tag * DESCRIPTOR_WORDS
  queue.descriptors[d] = op
  queue.descriptors[d + 1] =
    op === model.UBLK_IO_OP_ZONE_APPEND || op === model.UBLK_IO_OP_READ ? SECTORS : 0
  queue.descriptors[d + 2] = zone * geometry.zoneSizeSectors
  queue.tags[at] = tag
}

/** Executes the commands; what fails goes back. */
function execute(count) {
  const words = queue.commands
  let back = 0
  for (let i = 0; i < count; i++) {
    const c = i * COMMAND_WORDS
    const tag = words[c + 1]
    if ((words[c] & 0xff) === native.COMMAND_WRITE && ++writes % FAILS === 0) {
      words[c + 2] = -5
      queue.tags[back++] = tag | TAG_FAILED
      continue
    }
    if (words[c + 2] < 0) failed++
    else if ((words[c] & 0xff) !== native.COMMAND_COMMIT) words[c + 2] = words[c + 3]
    free[freeCount++] = tag
  }
  return back
}

let turn = 0
function serve(count) {
  for (let i = 0; i < count; i++) {
    let ready = execute(turn & 0xffff)
    queue.clock[0] = nowUs[0]
    nowUs[0] += 7.25
    queue.clock[1] = nowUs[0]
    for (let more = 1 + (i & 1); more > 0 && freeCount > 0; more--) deliver(ready++)
    turn = planner.planTurn(ready)
    // What the main thread would do: room for more.
    if ((i & 1023) === 0) Atomics.store(ringWords, 16, Atomics.load(ringWords, 0))
  }
  if (mode === 'recorded' && ringWords[0] === 0) return 'nothing is recorded'
  if (mode === 'latency' && freeCount === DEPTH) return 'nothing waits'
  // Copies that failed, and a few appends that met a reset which had waited.
  return requests > count / 4 && failed < requests / 20 ? 'ok' : `${failed} of ${requests} failed`
}

const warm = serve(300_000)
globalThis.gc()
process.stdout.write(`BEGIN ${warm}\n`)
const result = serve(Number(turns))
process.stdout.write(`END ${result}\n`)
