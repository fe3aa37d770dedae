/**
 * The rules of the house hold for every source, and each rule catches what it is there for.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CLI_ERRORS } from '../cli/output.js'
import * as storeOptions from '../cli/store-options.js'
import * as client from '../daemon/client.js'
import { DEVICE_ERRORS } from '../devices/index.js'
import { IMAGE_ERRORS } from '../image/index.js'
import * as store from '../store/index.js'
import { blank, cxxFunctionsOf, functionsOf } from './tidy/lexer.js'
import * as rules from './tidy/rules.js'

const ROOT = new URL('../', import.meta.url)
/** Binary or not ours to judge. */
const SKIPPED = /(?:^|\/)(?:package-lock\.json|LICENSE)$|\.(?:png|gz|xz)$/

function readSources(): rules.Sources {
  // Root in a user's checkout (sudo npm test) is refused without this.
  const list = [
    '-c',
    'safe.directory=*',
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '-z',
  ]
  const paths = execFileSync('git', list, { cwd: ROOT, encoding: 'utf8' }).split('\0')
  const sources = new Map<string, string>()
  for (const path of paths.filter(path => path !== '' && !SKIPPED.test(path))) {
    try {
      sources.set(path, readFileSync(new URL(path, ROOT), 'utf8'))
    } catch (error) {
      // In the index, but deleted in the work tree.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return sources
}

const RULES: Record<string, rules.Rule> = {
  imports: rules.imports,
  fileLines: rules.fileLines,
  functionLines: rules.functionLines,
  header: rules.header,
  reminders: rules.reminders,
  atomics: rules.atomics,
  purity: rules.purity,
  hotCode: rules.hotCode(),
  cxxZones: rules.cxxZones,
  cxxSize: rules.cxxSize,
  documentedErrors: rules.documentedErrors,
}

describe('the sources', () => {
  const sources = readSources()
  it('are there', () => {
    for (const folder of rules.SOURCE_FOLDERS) expect(sources.has(`${folder}/index.ts`)).toBe(true)
  })
  it.each(Object.keys(RULES))('%s', name => {
    expect(RULES[name]!(sources)).toEqual([])
  })
})

interface Docs {
  refresh(readme: string, from: object, ...errors: object[]): string
  refreshStore(text: string, from: object, store: object, options: object): string
}

it('the tables of README.md are fresh (npm run docs)', async () => {
  const docs = (await import(new URL('scripts/docs.mjs', ROOT).href)) as Docs
  const readme = readFileSync(new URL('README.md', ROOT), 'utf8')
  expect(
    docs.refresh(readme, client, DEVICE_ERRORS, store.STORE_ERRORS, IMAGE_ERRORS, CLI_ERRORS),
  ).toBe(readme)
  const stale = readme.replace('| `--zones` |', '| `--zonez` |')
  expect(
    docs.refresh(stale, client, DEVICE_ERRORS, store.STORE_ERRORS, IMAGE_ERRORS, CLI_ERRORS),
  ).toBe(readme)
})

it('the table of docs/STORE.md is fresh (npm run docs)', async () => {
  const docs = (await import(new URL('scripts/docs.mjs', ROOT).href)) as Docs
  const text = readFileSync(new URL('docs/STORE.md', ROOT), 'utf8')
  expect(docs.refreshStore(text, client, store, storeOptions)).toBe(text)
  const stale = text.replace('| `--objects` |', '| `--objekts` |')
  expect(stale).not.toBe(text)
  expect(docs.refreshStore(stale, client, store, storeOptions)).toBe(text)
})

const DOC = '/** x */\n'
const long = (lines: number): string => `${DOC}${'const x = 1\n'.repeat(lines)}`
const wide = (lines: number): string =>
  `function f(a: { b: number }): { c: number } {\n${'a()\n'.repeat(lines)}}\n`
const hot = (body: string): Record<string, string> => ({
  'daemon/hot.ts': `${DOC}function plan() {\n${body}\n}\n`,
})

/** Rule, bad files, and a word of what it must say. The files are nothing but bad in that one way. */
const BAD: [string, Record<string, string>, string][] = [
  [
    'imports',
    { 'zone-model/index.ts': "import { x } from '../daemon/client.js'" },
    'must not import daemon/client.ts',
  ],
  [
    'imports',
    { 'cli/index.ts': "import '../ublk-native/index.js'" },
    'must not import ublk-native/index.ts',
  ],
  [
    'imports',
    { 'cli/index.ts': "const x = import('../daemon/index.js')" },
    'must not import daemon/index.ts',
  ],
  [
    'imports',
    { 'daemon/x.ts': "import type { X } from '../zone-model/geometry.js'" },
    'must not import zone-model/geometry.ts',
  ],
  [
    'imports',
    { 'vm/x.ts': "export * from '../daemon/client.js'" },
    'must not import daemon/client.ts',
  ],
  ['imports', { 'daemon/x.ts': "import { Command } from 'commander'" }, 'package commander'],
  ['imports', { 'vm/x.ts': "import {\n  pino,\n} from 'pino'" }, 'package pino'],
  [
    'imports',
    { 'zone-model/x.ts': "import { readFileSync } from 'node:fs'" },
    'zone-model is pure',
  ],
  [
    'imports',
    { 'vm/a.ts': "import './b.js'", 'vm/b.ts': "import './c.js'", 'vm/c.ts': "import './a.js'" },
    'cycle: vm/a.ts → vm/b.ts → vm/c.ts → vm/a.ts',
  ],
  ['imports', { 'vm/alone.ts': 'export const x = 1' }, 'dead'],
  ['imports', { 'cli/index.ts': "import './gone.js'" }, 'cli/gone.ts is not there'],
  ['fileLines', { 'vm/x.ts': long(400) }, '401 lines'],
  ['functionLines', { 'vm/x.ts': wide(69) }, 'f has 71 lines'],
  [
    'functionLines',
    {
      'vm/x.ts': `class A {\n  async #m<T>(x: T): Promise<{ y: T }> {\n${'x()\n'.repeat(70)}  }\n}`,
    },
    '#m has 72 lines',
  ],
  [
    'functionLines',
    { 'vm/x.ts': `const f = (a: number): void => {\n${'x()\n'.repeat(70)}}` },
    'f has 72 lines',
  ],
  [
    'functionLines',
    {
      'ublk-native/src/x.cc': `namespace n {\nint A::f(int a) const {\n${'x();\n'.repeat(70)}}\n}`,
    },
    'A::f has 72 lines',
  ],
  ['header', { 'vm/x.ts': "import './y.js'\n/** late */" }, 'no /** header'],
  ['header', { 'cli/index.ts': '#!/usr/bin/env node\nrun()' }, 'no /** header'],
  ['reminders', { 'docs/X.md': 'TODO: more' }, 'TODO'],
  ['reminders', { 'vm/x.ts': '// FIXME later' }, 'FIXME'],
  ['atomics', { 'daemon/plan.ts': 'Atomics.load(words, 0)' }, 'Atomics'],
  ['purity', { 'zone-model/x.ts': 'const t = Date.now()' }, 'Date'],
  ['purity', { 'zone-model/x.ts': 'const r = Math.random()' }, 'Math.random'],
  ['purity', { 'zone-model/x.ts': 'console.log(1)' }, 'console'],
  ['hotCode', hot('const x = 1n'), '1n'],
  ['hotCode', hot('const x = BigInt(1)'), 'BigInt'],
  ['hotCode', hot('const x = new Int32Array(1)'), 'new'],
  ['hotCode', hot('f(...x)'), '...'],
  ['hotCode', hot('f(() => 1)'), '=>'],
  ['hotCode', hot('throw x'), 'throw'],
  ['hotCode', hot('await x'), 'await'],
  ['hotCode', hot('const x = { a: 1 }'), '= {'],
  ['hotCode', hot('return [a, b]'), 'return [a, b]'],
  ['hotCode', { 'daemon/hot.ts': 'const make = 1' }, 'listed as cold, but not there: make'],
  ['hotCode', {}, 'listed as hot, but not there'],
  ['cxxZones', { 'ublk-native/src/media.cc': '// resets the zone' }, 'zone'],
  ['cxxZones', { 'ublk-native/src/media.cc': 'int zone_of(long offset);' }, 'zone_of'],
  [
    'cxxSize',
    { 'ublk-native/src/a.cc': 'x;\n'.repeat(3000), 'ublk-native/src/b.h': 'x;\n'.repeat(2000) },
    '5000 lines',
  ],
  [
    'documentedErrors',
    { 'vm/x.ts': "throw new E('ERR_VM_MOON')", 'README.md': '`ERR_VM_BOOT`' },
    'ERR_VM_MOON',
  ],
  ['documentedErrors', { 'daemon/errors.ts': '  DAEMON_ERR_MOON: 1' }, 'DAEMON_ERR_MOON'],
]

it.each(BAD)('%s catches %j', (name, files, what) => {
  const rule =
    name === 'hotCode'
      ? rules.hotCode({
          'daemon/hot.ts': files['daemon/hot.ts']?.includes('make') === true ? ['make'] : [],
        })
      : RULES[name]!
  const findings = rule(new Map(Object.entries(files)))
  expect(findings.map(finding => finding.what).join('\n')).toContain(what)
})

it('every rule has a bad sample', () => {
  expect(new Set(BAD.map(([name]) => name))).toEqual(new Set(Object.keys(RULES)))
})

/** What looks bad and is not. */
const GOOD: [string, Record<string, string>][] = [
  [
    'imports',
    {
      'cli/index.ts': "import './daemon.js'",
      'cli/daemon.ts': "const x = await import('../daemon/index.js')",
      'daemon/index.ts': '',
    },
  ],
  ['atomics', { 'daemon/plan.ts': '// Atomics are elsewhere\nconst x = "Atomics"' }],
  ['purity', { 'zone-model/x.ts': '/** No Date, no console. */' }],
  ['fileLines', { 'vm/x.ts': long(399) }],
  ['functionLines', { 'vm/x.ts': wide(68) }],
  ['cxxZones', { 'ublk-native/src/x.cc': 'case UBLK_IO_OP_ZONE_APPEND: cmd.zone_append_lba = 0;' }],
]

it.each(GOOD)('%s lets pass %j', (name, files) => {
  expect(RULES[name]!(new Map(Object.entries(files)))).toEqual([])
})

it('the lexer blanks literals and keeps lines', () => {
  const text = `a = '}' // {\nb = \`\${'{'} }\` /* {\n*/ + /[/{]/.test(c)\n`
  expect(blank(text)).toMatch(/^a = {9}\nb = {16}\n {3}\+ {7}\.test\(c\)\n$/)
  expect(blank(text)).toHaveLength(text.length)
})

it('the lexer finds functions of both languages', () => {
  const ts =
    'export async function a<T>(x: T): Promise<void> {\n}\nclass B {\n  get c(): number { return 1 }\n  static d({ e }: F) {\n  }\n}\nif (x) {\n}\n'
  expect(functionsOf(ts).map(({ name, lines }) => [name, lines])).toEqual([
    ['a', 2],
    ['c', 1],
    ['d', 2],
  ])
  const cc =
    'struct S {\n  int x() const { return 1; }\n};\nstatic int y(int a) {\n  if (a) { b(); }\n}\nint z[] = {1, 2};\n'
  expect(cxxFunctionsOf(cc).map(({ name, lines }) => [name, lines])).toEqual([
    ['x', 1],
    ['y', 3],
  ])
})
