/** What a client may send: everything else is refused before an operation sees it. */
import { beforeEach, expect, it } from 'vitest'
import { dispatch } from '../../daemon/dispatch.js'
import type { Registry } from '../../daemon/registry.js'

let done: string[]
let handle: (verb: string, params: Record<string, unknown>) => Promise<unknown>

beforeEach(() => {
  done = []
  const operation =
    (name: string) =>
    (...args: unknown[]) => {
      done.push(`${name} ${JSON.stringify(args)}`)
      return name
    }
  const names = [
    'create',
    'list',
    'show',
    'delete',
    'recover',
    'report',
    'offline',
    'readOnly',
    'addFault',
    'listFaults',
    'clearFaults',
    'powerCut',
    'explain',
  ]
  const registry = Object.fromEntries([...names, 'stats'].map(name => [name, operation(name)]))
  const recordings = Object.fromEntries(
    ['start', 'read', 'stop'].map(name => [name, operation(`trace ${name}`)]),
  )
  Object.assign(registry, { recordings })
  const dispatched = dispatch(registry as unknown as Registry, '0', operation('stop'))
  handle = (verb, params) => dispatched(verb, params, new AbortController().signal)
})

it.each([
  ['device.delete', { id: '../../home' }],
  ['device.delete', { id: '0' }],
  ['device.delete', { id: '' }],
  ['device.delete', { id: null }],
  ['device.delete', {}],
  ['device.delete', { id: [0] }],
  ['device.delete', { id: -1 }],
  ['device.delete', { id: 0.5 }],
  ['device.delete', { id: 2 ** 20 }],
  ['device.delete', { id: 0, force: 'yes' }],
  ['device.show', { id: '..' }],
  ['device.recover', { id: '../0' }],
  ['stats', { id: {} }],
  ['trace.start', {}],
  ['trace.read', { id: '0' }],
  ['trace.stop', { id: 1.5 }],
  ['explain', { id: 0, count: 65 }],
  ['explain', { id: 0, count: 0 }],
  ['zone.report', { id: 0, first: -1 }],
  ['zone.report', { id: 0, count: 1.5 }],
  ['zone.report', { id: 0, condition: 'toString' }],
  ['zone.offline', { id: 0, first: 0 }],
  ['zone.offline', { id: 0, first: '1', count: 1 }],
  ['zone.read-only', { id: 0, first: 0, count: 0 }],
  ['device.power-cut', { id: 0, seed: -1 }],
  ['fault.add', { id: 0 }],
  ['fault.add', { id: 0, op: 'toString' }],
  ['fault.add', { id: 0, op: 'read', first: -1 }],
  ['fault.add', { id: 0, op: 'read', nth: 0 }],
  ['fault.add', { id: 0, op: 'read', probability: 0 }],
  ['fault.add', { id: 0, op: 'read', probability: 1.01 }],
  ['fault.add', { id: 0, op: 'read', count: 2 ** 31 }],
  ['fault.add', { id: 0, op: 'read', errno: 'constructor' }],
  ['fault.add', { id: 0, op: 'read', delayMs: 3_600_001 }],
  ['fault.add', { id: 0, op: 'read', torn: 1 }],
  ['fault.add', { id: 0, op: 'read', seed: 2 ** 32 }],
  ['fault.clear', { id: 0, fault: '1' }],
])('refuses %s %j', async (verb, params) => {
  await expect(handle(verb, params)).rejects.toMatchObject({
    code: 'DAEMON_ERR_REQUEST',
    message: expect.stringMatching(/: expected /),
  })
  expect(done).toEqual([])
})

it.each([
  ['device.delete', { id: 3, force: true }, 'delete [3,true]'],
  ['device.delete', { id: 0 }, 'delete [0,false]'],
  ['explain', { id: 0 }, 'explain [0,10]'],
  ['explain', { id: 0, count: 64 }, 'explain [0,64]'],
  [
    'zone.report',
    { id: 0, condition: 'full', count: 5 },
    'report [0,{"condition":"full","count":5}]',
  ],
  ['zone.offline', { id: 2 ** 20 - 1, first: 0, count: 1 }, 'offline [1048575,0,1]'],
  ['zone.read-only', { id: 1, first: 2, count: 3 }, 'readOnly [1,2,3]'],
  [
    'fault.add',
    { id: 1, op: 'read', errno: 'EIO', seed: 0 },
    'addFault [1,{"op":"read","errno":"EIO","seed":0}]',
  ],
  ['fault.list', { id: 1 }, 'listFaults [1]'],
  ['device.power-cut', { id: 1, seed: 5 }, 'powerCut [1,5]'],
  ['fault.clear', { id: 1, fault: 2 }, 'clearFaults [1,2]'],
  ['device.create', { zones: '16' }, 'create [{"zones":"16"}]'],
  ['trace.start', { id: 2 }, 'trace start [2,{}]'],
  ['trace.read', { id: 2 }, 'trace read [2,{}]'],
  ['trace.stop', { id: 2 }, 'trace stop [2,{}]'],
])('passes %s %j', async (verb, params, expected) => {
  await handle(verb, params)
  expect(done).toEqual([expected])
})

it('names the verbs there are when one is unknown', async () => {
  await expect(handle('toString', {})).rejects.toThrow(/unknown verb toString: .*device\.create/)
})
