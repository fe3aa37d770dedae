/**
 * From a line of the control protocol to the operation: which verbs there are, and what their parameters must look like.
 *
 * Guarantees: nothing that a client sends reaches an operation before its type and range were checked. A device's number
 * becomes the name of a folder, which `delete` removes.
 */
import { DaemonError } from './errors.js'
import {
  FAULT_COUNT_MAX,
  FAULT_DELAY_MAX_MS,
  FAULT_ERRNOS,
  FAULT_OPS_NAMES,
} from './fault-orders.js'
import type { Verb, Verbs, ZoneCondition } from './protocol.js'
import { REFUSALS_MAX } from './refusals.js'
import type { Registry } from './registry.js'

/** The largest number that a ublk device can have: minors are 20 bits. */
const DEVICE_ID_MAX = 2 ** 20 - 1
const EXPLAIN_COUNT = 10

const CONDITIONS: Readonly<Record<ZoneCondition, true>> = {
  conventional: true,
  empty: true,
  'implicit-open': true,
  'explicit-open': true,
  closed: true,
  full: true,
  'read-only': true,
  offline: true,
}

interface Check {
  readonly expected: string
  readonly isRequired: boolean
  readonly accepts: (value: unknown) => boolean
}

function integer(min: number, max: number, isRequired: boolean): Check {
  return {
    expected: `a whole number from ${min} to ${max}`,
    isRequired,
    accepts: value => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
  }
}

const ID = integer(0, DEVICE_ID_MAX, true)
const FIRST = integer(0, Number.MAX_SAFE_INTEGER, true)
const COUNT = integer(1, Number.MAX_SAFE_INTEGER, true)
const FORCE: Check = {
  expected: 'true or false',
  isRequired: false,
  accepts: value => typeof value === 'boolean',
}
const PROBABILITY: Check = {
  expected: 'a number above 0 and at most 1',
  isRequired: false,
  accepts: value => typeof value === 'number' && value > 0 && value <= 1,
}
function choice(names: readonly string[], isRequired: boolean): Check {
  return {
    expected: `one of ${names.join(', ')}`,
    isRequired,
    accepts: value => typeof value === 'string' && names.includes(value),
  }
}
const ZONE = integer(0, 2 ** 31 - 2, false)
const CONDITION: Check = {
  expected: `one of ${Object.keys(CONDITIONS).join(', ')}`,
  isRequired: false,
  accepts: value => typeof value === 'string' && Object.hasOwn(CONDITIONS, value),
}
const optional = (check: Check): Check => ({ ...check, isRequired: false })

/** What each verb takes. `device.create` takes the option table's names, which checks them itself. */
const PARAMETERS: Readonly<Record<Exclude<Verb, 'device.create'>, Record<string, Check>>> = {
  ping: {},
  'device.list': {},
  'device.show': { id: ID },
  'device.delete': { id: ID, force: FORCE },
  'device.recover': { id: ID },
  'device.power-cut': { id: ID, seed: integer(0, 2 ** 32 - 1, false) },
  'zone.report': {
    id: ID,
    first: optional(FIRST),
    count: optional(COUNT),
    condition: CONDITION,
  },
  'zone.offline': { id: ID, first: FIRST, count: COUNT },
  'zone.read-only': { id: ID, first: FIRST, count: COUNT },
  'fault.add': {
    id: ID,
    op: choice(FAULT_OPS_NAMES, true),
    first: ZONE,
    last: ZONE,
    nth: integer(1, FAULT_COUNT_MAX, false),
    probability: PROBABILITY,
    count: integer(1, FAULT_COUNT_MAX, false),
    errno: choice(Object.keys(FAULT_ERRNOS), false),
    delayMs: integer(1, FAULT_DELAY_MAX_MS, false),
    torn: FORCE,
    seed: integer(0, 2 ** 32 - 1, false),
  },
  'fault.list': { id: ID },
  'fault.clear': { id: ID, fault: integer(1, FAULT_COUNT_MAX, false) },
  explain: { id: ID, count: integer(1, REFUSALS_MAX, false) },
  stats: { id: ID },
  'trace.start': { id: ID },
  'trace.read': { id: ID },
  'trace.stop': { id: ID },
  shutdown: {},
}

/** Throws DaemonError DAEMON_ERR_REQUEST that names the parameter, its value and what is expected. */
function check(verb: Verb, params: Readonly<Record<string, unknown>>): void {
  if (verb === 'device.create') return
  for (const [name, { expected, isRequired, accepts }] of Object.entries(PARAMETERS[verb])) {
    const value = params[name]
    if (value === undefined && !isRequired) continue
    if (accepts(value)) continue
    const message = `${verb}: ${name} ${JSON.stringify(value) ?? 'is missing'}: expected ${expected}`
    throw new DaemonError('DAEMON_ERR_REQUEST', message)
  }
}

/** The handler of a control server. `stop` is called for `shutdown`, and must let the answer out first. */
export function dispatch(registry: Registry, version: string, stop: () => void) {
  const verbs: { [V in Verb]: (params: Verbs[V]['params'], closed: AbortSignal) => unknown } = {
    ping: () => ({ pid: process.pid, version, devices: registry.size }),
    'device.create': params => registry.create(params),
    'device.list': () => registry.list(),
    'device.show': ({ id }) => registry.show(id),
    'device.delete': ({ id, force }) => registry.delete(id, force ?? false),
    'device.recover': ({ id }) => registry.recover(id),
    'device.power-cut': ({ id, seed }) => registry.powerCut(id, seed),
    'zone.report': ({ id, ...range }) => registry.report(id, range),
    'zone.offline': ({ id, first, count }) => registry.offline(id, first, count),
    'zone.read-only': ({ id, first, count }) => registry.readOnly(id, first, count),
    'fault.add': ({ id, ...order }) => registry.addFault(id, order),
    'fault.list': ({ id }) => registry.listFaults(id),
    'fault.clear': ({ id, fault }) => registry.clearFaults(id, fault),
    explain: ({ id, count }) => registry.explain(id, count ?? EXPLAIN_COUNT),
    stats: ({ id }) => registry.stats(id),
    'trace.start': ({ id }, closed) => registry.recordings.start(id, closed),
    'trace.read': ({ id }, closed) => registry.recordings.read(id, closed),
    'trace.stop': ({ id }, closed) => registry.recordings.stop(id, closed),
    shutdown: () => {
      stop()
      return { pid: process.pid }
    },
  }
  return async (
    verb: string,
    params: Record<string, unknown>,
    closed: AbortSignal,
  ): Promise<unknown> => {
    if (!Object.hasOwn(verbs, verb)) {
      const known = Object.keys(verbs).join(', ')
      throw new DaemonError('DAEMON_ERR_REQUEST', `unknown verb ${verb}: expected one of ${known}`)
    }
    check(verb as Verb, params)
    return (verbs[verb as Verb] as (params: unknown, closed: AbortSignal) => unknown)(
      params,
      closed,
    )
  }
}
