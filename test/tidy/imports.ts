/**
 * Who may import whom: folders form a DAG, files of a folder have no cycle, folders are entered by their doors, packages are
 * used where they are meant to be, and no file is dead.
 */
import { dirname, normalize } from 'node:path/posix'
import { type Finding, folderOf, SOURCE_FOLDERS, type Sources } from './rules.js'

/** What each folder may import of the others: the doors, by path. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  'zone-model': [],
  'ublk-native': [],
  vm: [],
  devices: ['zone-model/index.ts', 'ublk-native/index.ts'],
  image: ['zone-model/index.ts', 'ublk-native/index.ts', 'devices/index.ts'],
  daemon: ['zone-model/index.ts', 'ublk-native/index.ts', 'devices/index.ts', 'image/index.ts'],
  store: ['zone-model/index.ts', 'ublk-native/index.ts', 'devices/index.ts'],
  cli: ['daemon/client.ts', 'image/index.ts', 'vm/index.ts', 'store/index.ts', 'devices/index.ts'],
}

/** A door for one file only. */
const PRIVATE_DOORS: Readonly<Record<string, string>> = {
  // Here the command is the daemon.
  'cli/daemon.ts': 'daemon/index.ts',
}

/** npm packages, and the one folder that may import each. */
const PACKAGES: Readonly<Record<string, string>> = { pino: 'daemon', commander: 'cli' }

/** Where programs and packages enter; nothing of ours needs to import these. */
const ENTRIES = ['cli/index.ts', 'zone-model/index.ts', 'store/index.ts']

interface Import {
  readonly from: string
  readonly line: number
  /** As written. */
  readonly name: string
  /** The file that is meant, for a relative name. */
  readonly to: string | null
  /** Erased by the compiler, or loaded later: no part of a cycle at load. */
  readonly isLate: boolean
}

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?[^'"`;]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|new URL\(\s*'(\.[^']+\.js)'/gm

export function importsOf(sources: Sources): Import[] {
  const all: Import[] = []
  for (const [from, text] of sources) {
    if (!from.endsWith('.ts')) continue
    for (const match of text.matchAll(IMPORT)) {
      const name = (match[2] ?? match[3] ?? match[4] ?? match[5])!
      const path = normalize(`${dirname(from)}/${name}`).replace(/\.js$/, '.ts')
      const line = text.slice(0, match.index).split('\n').length
      const isLate = match[1] !== undefined || match[4] !== undefined || match[5] !== undefined
      all.push({ from, line, name, to: name.startsWith('.') ? path : null, isLate })
    }
  }
  return all
}

function judge({ from, name, to, line }: Import): string | null {
  const folder = folderOf(from)
  if (to === null) {
    if (name.startsWith('node:')) {
      return folder === 'zone-model' ? `zone-model is pure, but imports ${name}` : null
    }
    return PACKAGES[name] === folder
      ? null
      : `${folder} must not use the package ${name} (line ${line})`
  }
  if (folderOf(to) === folder) return null
  if (DOORS[folder]!.includes(to) || PRIVATE_DOORS[from] === to) return null
  return `${folder} must not import ${to}`
}

/** One cycle among files, as "a → b → a"; null when there is none. */
function cycleIn(edges: ReadonlyMap<string, readonly string[]>): string | null {
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string | null => {
    const at = path.indexOf(node)
    if (at >= 0) return [...path.slice(at), node].join(' → ')
    if (done.has(node)) return null
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...path, node])
      if (cycle !== null) return cycle
    }
    done.add(node)
    return null
  }
  for (const node of edges.keys()) {
    const cycle = visit(node, [])
    if (cycle !== null) return cycle
  }
  return null
}

/** All rules about imports. */
export function imports(sources: Sources): Finding[] {
  const product = new Map(
    [...sources].filter(
      ([path]) =>
        path.endsWith('.ts') && (SOURCE_FOLDERS as readonly string[]).includes(folderOf(path)),
    ),
  )
  const all = importsOf(product)
  const findings: Finding[] = []
  for (const one of all) {
    const what = judge(one)
    if (what !== null) findings.push({ rule: 'imports', where: `${one.from}:${one.line}`, what })
    if (one.to !== null && !product.has(one.to) && one.to.endsWith('.ts')) {
      findings.push({
        rule: 'imports',
        where: `${one.from}:${one.line}`,
        what: `${one.to} is not there`,
      })
    }
  }
  const edges = new Map<string, string[]>()
  for (const { from, to, isLate } of all) {
    if (to !== null && !isLate) edges.set(from, [...(edges.get(from) ?? []), to])
  }
  const cycle = cycleIn(edges)
  if (cycle !== null)
    findings.push({ rule: 'imports', where: cycle.split(' ')[0]!, what: `cycle: ${cycle}` })
  const used = new Set(all.map(({ to }) => to))
  for (const path of product.keys()) {
    if (used.has(path) || ENTRIES.includes(path)) continue
    findings.push({ rule: 'imports', where: path, what: 'dead: nothing imports it' })
  }
  return findings
}
