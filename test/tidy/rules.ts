/**
 * The rules of the house, each a function from sources to findings. Sources are a map from path to text, so that a test can
 * give a rule something bad.
 */
import { blank, cxxFunctionsOf, functionsOf } from './lexer.js'

/** Path from the root, with slashes → text. */
export type Sources = ReadonlyMap<string, string>

export interface Finding {
  readonly rule: string
  readonly where: string
  readonly what: string
}

export type Rule = (sources: Sources) => Finding[]

/** Folders whose TypeScript is the product. */
export const SOURCE_FOLDERS = [
  'zone-model',
  'ublk-native',
  'devices',
  'image',
  'daemon',
  'store',
  'cli',
  'vm',
] as const

const FILE_LINES_MAX = 400
const FUNCTION_LINES_MAX = 70
const CXX_LINES_MAX = 4060

export function folderOf(path: string): string {
  return path.split('/')[0]!
}

function isProduct(path: string): boolean {
  return path.endsWith('.ts') && (SOURCE_FOLDERS as readonly string[]).includes(folderOf(path))
}

function isCxx(path: string): boolean {
  return path.startsWith('ublk-native/src/')
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

/** Findings for every match of `pattern` in the sources that `wanted` names. */
function search(
  rule: string,
  sources: Sources,
  wanted: (path: string) => boolean,
  pattern: RegExp,
  prepare: (text: string, path: string) => string = blank,
): Finding[] {
  const findings: Finding[] = []
  for (const [path, source] of sources) {
    if (!wanted(path)) continue
    const text = prepare(source, path)
    for (const match of text.matchAll(pattern)) {
      findings.push({ rule, where: `${path}:${lineOf(text, match.index)}`, what: match[0].trim() })
    }
  }
  return findings
}

export const fileLines: Rule = sources =>
  [...sources]
    .filter(
      ([path]) =>
        isProduct(path) || isCxx(path) || path.startsWith('test/') || path.startsWith('bench/'),
    )
    .filter(([path]) => /\.(?:ts|mjs|cc|h)$/.test(path))
    .map(([path, text]) => ({ path, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => ({
      rule: 'fileLines',
      where: path,
      what: `${lines} lines, at most ${FILE_LINES_MAX}`,
    }))

export const functionLines: Rule = sources => {
  const findings: Finding[] = []
  for (const [path, text] of sources) {
    const find = isProduct(path) ? functionsOf : isCxx(path) ? cxxFunctionsOf : null
    if (find === null) continue
    for (const { name, line, lines } of find(blank(text))) {
      if (lines <= FUNCTION_LINES_MAX) continue
      const what = `${name} has ${lines} lines, at most ${FUNCTION_LINES_MAX}`
      findings.push({ rule: 'functionLines', where: `${path}:${line}`, what })
    }
  }
  return findings
}

/** Every .ts begins with a comment that says what it is; a bin may have its #! line before. */
export const header: Rule = sources =>
  [...sources]
    .filter(([path]) => path.endsWith('.ts') && path.includes('/'))
    .filter(([, text]) => !/^(?:#!.*\n)?\/\*\*/.test(text))
    .map(([path]) => ({ rule: 'header', where: path, what: 'no /** header comment first' }))

export const reminders: Rule = sources =>
  search(
    'reminders',
    sources,
    path => !path.startsWith('test/tidy'),
    /\b(?:TODO|FIXME|XXX)\b/g,
    text => text,
  )

/** Atomic operations live where their protocol is described. */
const ATOMICS_FILES = [
  'zone-model/zone-table.ts',
  'zone-model/in-flight-log.ts',
  'zone-model/table-copy.ts',
  'image/dirty.ts',
  // It waits for a moment with one.
  'image/working-state.ts',
  // Of the queue's stop flag, which main sets and the worker reads.
  'daemon/shared-state.ts',
  'daemon/flush-tickets.ts',
  // Rules that main writes and all workers count in.
  'daemon/fault-rules.ts',
  'daemon/fault-orders.ts',
  // Between a queue's worker and whoever reads what it records.
  'daemon/trace-ring.ts',
]

export const atomics: Rule = sources =>
  search(
    'atomics',
    sources,
    path => isProduct(path) && !ATOMICS_FILES.includes(path),
    /\bAtomics\b/g,
  )

/** zone-model is a function of its arguments. */
export const purity: Rule = sources =>
  search(
    'purity',
    sources,
    path => isProduct(path) && folderOf(path) === 'zone-model',
    /\b(?:Date|Math\.random|performance|console|process|setTimeout|setInterval)\b/g,
  )

/**
 * Hot files, and in each the functions that are not hot: they run when a device is made, recovered or looked at, never for
 * an I/O. Everything else in these files runs for every I/O.
 */
export const HOT_FILES: Readonly<Record<string, readonly string[]>> = {
  'zone-model/data-path.ts': [],
  'zone-model/zone-table.ts': [
    ...['sleepingRelax', 'identity', 'refuseMemory', 'checkMemory', 'constructor', 'wordsNeeded'],
    ...['format', 'statistics', 'markByteOffset', 'recover'],
  ],
  'zone-model/in-flight-log.ts': ['constructor', 'recover'],
  'zone-model/zone-word.ts': [],
  'store/lifetime-classes.ts': [
    ...['refuse', 'validate', 'geometric', 'constructor', 'boundariesMs', 'rangeOf', 'learn'],
    ...['#groups', '#weigh', '#openBytes', '#fade', '#move', '#tabulate', '#takeBack'],
  ],
  'store/record-cache.ts': ['constructor', 'stats'],
  'store/record-memory.ts': ['constructor'],
  'store/record-ring.ts': ['constructor'],
  'store/record-table.ts': ['constructor', 'memoryBytes'],
  'store/ghost.ts': ['constructor', 'memoryBytes'],
  'daemon/plan.ts': ['constructor'],
  'daemon/decide.ts': ['constructor'],
  'daemon/requests.ts': ['constructor'],
  'daemon/commands.ts': ['constructor'],
  'daemon/fault-rules.ts': ['constructor', 'faultWords'],
  'daemon/gate.ts': ['constructor'],
  'daemon/held-tags.ts': ['constructor'],
  'daemon/die-model.ts': ['constructor'],
  'daemon/drive-time.ts': ['constructor'],
  'daemon/serve.ts': [],
  'daemon/flush-holder.ts': ['constructor'],
  'daemon/flush-marks.ts': ['constructor', 'flushMarkBytes'],
  'daemon/refusals.ts': ['constructor', 'last'],
  'daemon/trace-recorder.ts': ['constructor', '#turnTo'],
  'daemon/trace-ring.ts': ['traceBase', 'constructor', 'recording', 'turnUs', 'ready', 'drain'],
  'store/key-hash.ts': ['constructor'],
  'store/object-index.ts': ['constructor', 'memoryBytes', 'openZone', 'beginLoad', '#widenFound'],
  'store/index-buckets.ts': ['constructor', 'memoryBytes', '#makePlane', '#dropPlane'],
  'store/index-loader.ts': ['constructor', 'begin', 'hold', '#widenLate'],
  'store/index-placer.ts': ['constructor'],
  'store/index-spill.ts': ['#widen', 'widened'],
  'store/index-zones.ts': ['constructor'],
}

/** What allocates, waits, throws, or is slow. Object and array literals are found as values, not as types. */
const HOT_BANNED =
  /\bBigInt\b|\b\d[\d_]*n\b|\bnew\s|\.\.\.|\bthrow\b|\bawait\b|\basync\b|=>|\bfunction\b|\btry\b|(?:=|\breturn|\(|,)\s*\[(?!\])[^\]]*\]|(?:=|\breturn|\()\s*\{/g

/** `Rules` of hot code, with the list of files as a parameter for the tests. */
export function hotCode(hotFiles: Readonly<Record<string, readonly string[]>> = HOT_FILES): Rule {
  return sources => {
    const findings: Finding[] = []
    for (const [path, cold] of Object.entries(hotFiles)) {
      const text = sources.get(path)
      if (text === undefined) {
        findings.push({ rule: 'hotCode', where: path, what: 'listed as hot, but not there' })
        continue
      }
      const spans = functionsOf(blank(text))
      for (const name of cold.filter(name => !spans.some(span => span.name === name))) {
        findings.push({
          rule: 'hotCode',
          where: path,
          what: `listed as cold, but not there: ${name}`,
        })
      }
      for (const { name, line, body } of spans.filter(span => !cold.includes(span.name))) {
        for (const match of body.matchAll(HOT_BANNED)) {
          const at = line + lineOf(body, match.index) - 1
          findings.push({
            rule: 'hotCode',
            where: `${path}:${at}`,
            what: `${name}: ${match[0].trim()}`,
          })
        }
      }
    }
    return findings
  }
}

/** Words with "zone" in them that the kernel's headers chose. */
const UAPI_ZONE_NAMES =
  /\b(?:UBLK_\w*ZONE\w*|BLK\w*ZONE\w*|PARAMS_\w*ZONE\w*|blk_zone\w*|ublk_param_zoned|zone_append_lba|max_zone_append_sectors|max_open_zones|max_active_zones|nr_zones|zoned|blkzoned)\b/g

/** C++ moves bytes: only the UAPI's names, and the file that sends zone ioctls, may say what a zone is. */
export const cxxZones: Rule = sources =>
  search(
    'cxxZones',
    sources,
    path => isCxx(path) && !path.endsWith('/block-device.cc') && !path.endsWith('/ublk-abi.h'),
    /\w*zone\w*/gi,
    text => text.replace(UAPI_ZONE_NAMES, name => ' '.repeat(name.length)),
  )

export const cxxSize: Rule = sources => {
  const files = [...sources].filter(([path]) => isCxx(path))
  const lines = files.reduce((sum, [, text]) => sum + text.trimEnd().split('\n').length, 0)
  if (lines <= CXX_LINES_MAX) return []
  return [
    { rule: 'cxxSize', where: 'ublk-native/src', what: `${lines} lines, at most ${CXX_LINES_MAX}` },
  ]
}

/** Codes of errors, as they are written in the sources. */
const CODE =
  /'((?:DAEMON_ERR|IMAGE_ERR|DEVICE_ERR|CLI_ERR|ZONE_ERR|ERR_VM)_[A-Z_]+)'|^\s+((?:DAEMON_ERR|IMAGE_ERR|DEVICE_ERR|CLI_ERR)_[A-Z_]+):/gm

/** Every code is in the README. */
export const documentedErrors: Rule = sources => {
  const readme = sources.get('README.md') ?? ''
  const codes = new Map<string, string>()
  for (const [path, text] of sources) {
    if (!isProduct(path)) continue
    for (const match of text.matchAll(CODE)) codes.set((match[1] ?? match[2])!, path)
  }
  return [...codes]
    .filter(([code]) => !readme.includes(`\`${code}\``))
    .map(([code, path]) => ({
      rule: 'documentedErrors',
      where: path,
      what: `${code} is not in README.md`,
    }))
}

export { imports } from './imports.js'
