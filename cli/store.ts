/**
 * `zslab store get|set|del|ttl|scan|stats|check|map|fill|bench`: a store of objects with a time to live, in a directory or on
 * a zoned block device. No daemon: the verb opens the store, does what was asked, and closes it.
 */
import type { Command } from 'commander'
import { type CommonOptions, finishLocalVerb } from './arguments.js'
import type { Io } from './io.js'
import { bench } from './store-bench.js'
import { check } from './store-check.js'
import { fill } from './store-fill.js'
import { map } from './store-map.js'
import { del, get, type StoreRun, scan, set, ttl } from './store-objects.js'
import { addStoreOptions, readStoreOptions, type StoreVerb, storeOptions } from './store-options.js'
import { stats } from './store-stats.js'

interface VerbSpec {
  readonly verb: StoreVerb
  /** After TARGET. */
  readonly operands: readonly (readonly [string, string])[]
  readonly summary: string
  readonly examples: readonly string[]
  readonly act: (run: StoreRun, ...operands: never[]) => Promise<void>
}

const KEY = ['<KEY>', 'name of the object, 1 to 250 bytes'] as const

const VERBS: readonly VerbSpec[] = [
  {
    verb: 'get',
    operands: [KEY],
    summary: 'print a value as it is; exit code 1 when there is none',
    examples: [
      'zslab store get /srv/store user:7',
      'zslab store get /srv/store user:7 --json | jq -r .value',
    ],
    act: get,
  },
  {
    verb: 'set',
    operands: [KEY, ['<VALUE>', 'text, or - for what comes on stdin']],
    summary: 'write an object, durable when the command ends',
    examples: [
      'zslab store set /srv/store user:7 Ada --ttl 90s --bytes 1G',
      'zslab store set /srv/store photo - < photo.jpg',
    ],
    act: set,
  },
  {
    verb: 'del',
    operands: [['<KEY...>', 'names of objects']],
    summary: 'delete objects; those that are not there are no error',
    examples: ['zslab store del /srv/store user:7 user:8'],
    act: del,
  },
  {
    verb: 'ttl',
    operands: [KEY],
    summary: 'how long an object has left to live; exit code 1 when there is none',
    examples: [
      'zslab store ttl /srv/store user:7',
      'zslab store ttl /srv/store user:7 --json | jq .ttlMs',
    ],
    act: ttl,
  },
  {
    verb: 'scan',
    operands: [],
    summary: 'list live objects, some at a time',
    examples: [
      'zslab store scan /srv/store --count 20',
      'zslab store scan /srv/store --values --json',
    ],
    act: scan,
  },
  {
    verb: 'stats',
    operands: [],
    summary: 'objects, zones, memory by component',
    examples: ['zslab store stats /srv/store', 'zslab store stats /srv/store --json | jq .memory'],
    act: stats,
  },
  {
    verb: 'check',
    operands: [],
    summary:
      'verify every checksum, zone by zone, and write nothing; exit code 1 when something is damaged',
    examples: [
      'zslab store check /srv/store',
      "zslab store check /dev/ublkb0 --json | jq '.zones[] | select(.damagedPages != [])'",
    ],
    act: check,
  },
  {
    verb: 'map',
    operands: [],
    summary: 'the zones as a picture: classes of lifetime, how full, how much lives, when they end',
    examples: ['zslab store map /srv/store', 'watch -n 5 zslab store map /srv/store'],
    act: map,
  },
  {
    verb: 'fill',
    operands: [],
    summary: 'write many objects, and say what they cost in writes, memory and space',
    examples: [
      'zslab store fill /srv/store --bytes 4G --objects 10M --ttl-mix 60s:15,5m:15,1h:70',
      'zslab store fill memory:4G --objects 10M',
    ],
    act: fill,
  },
  {
    verb: 'bench',
    operands: [],
    summary: 'measure set, get and expiry of an empty store, one operation at a time',
    examples: [
      'zslab store bench memory:1G',
      'zslab store bench /srv/bench --bytes 2G --objects 2M',
    ],
    act: bench,
  },
]

const IN_MEMORY: readonly StoreVerb[] = ['fill', 'bench']

export async function registerStore(command: Command, io: Io): Promise<void> {
  const [client, store] = await Promise.all([io.client(), io.store()])
  const table = storeOptions(store)
  for (const { verb, operands, summary, examples, act } of VERBS) {
    const child = command.command(verb).description(summary)
    const memory = IN_MEMORY.includes(verb) ? ', or memory:SIZE' : ''
    child.argument('<TARGET>', `a directory or a zoned block device${memory}`)
    for (const [name, doc] of operands) child.argument(name, doc)
    addStoreOptions(child, verb, table, client)
    child.action(async (target: string, ...rest: unknown[]) => {
      // Commander hands over operands, then options, then the command.
      const options = rest[operands.length] as CommonOptions & Record<string, unknown>
      const values = readStoreOptions(verb, options, table, client)
      const run: StoreRun = { io, target, values, common: options }
      await act(run, ...(rest.slice(0, operands.length) as never[]))
    })
    finishLocalVerb(child, examples)
  }
}
