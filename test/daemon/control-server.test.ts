/** The control socket: framing, errors, one daemon a path. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { connect as connectDaemon, request } from '../../daemon/client.js'
import { ControlServer } from '../../daemon/control-server.js'
import { DaemonError } from '../../daemon/errors.js'

let directory: string
let path: string
let server: ControlServer | null = null

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'zslab-control-'))
  path = join(directory, 'control.sock')
})
afterEach(() => {
  server?.close()
  server = null
  rmSync(directory, { recursive: true, force: true })
})

const echo = async (verb: string, params: unknown) => ({ verb, params })

function talk(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(text))
    let reply = ''
    socket.on('data', chunk => {
      reply += chunk
      if (reply.endsWith('\n')) socket.end()
    })
    socket.on('close', () => resolve(reply))
    socket.on('error', reject)
  })
}

it('answers a request, and only its owner may ask', async () => {
  server = await ControlServer.start(path, echo)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await request('ping', {}, path)).toEqual({ verb: 'ping', params: {} })
})

it('sends errors with their code and message', async () => {
  server = await ControlServer.start(path, async () => {
    throw new DaemonError('DAEMON_ERR_BUSY', 'it is mounted')
  })
  await expect(request('ping', {}, path)).rejects.toMatchObject({
    code: 'DAEMON_ERR_BUSY',
    message: 'it is mounted',
  })
})

it.each([
  'nonsense\n',
  '{}\n',
  '{"id":1}\n',
  '[]\n',
  'null\n',
  '{"id":1,"verb":"ping","params":"all"}\n',
  '{"id":1,"verb":"ping","params":[]}\n',
])('answers %j with DAEMON_ERR_REQUEST', async text => {
  server = await ControlServer.start(path, echo)
  expect(JSON.parse(await talk(text)).error.code).toBe('DAEMON_ERR_REQUEST')
})

it('takes a request in pieces, and several in one piece', async () => {
  server = await ControlServer.start(path, echo)
  const line = (id: number) => `${JSON.stringify({ id, verb: 'ping', params: {} })}\n`
  const replies = await new Promise<string>(resolve => {
    const socket = connect(path)
    let text = ''
    socket.write(line(1).slice(0, 7))
    setImmediate(() => socket.write(line(1).slice(7) + line(2)))
    socket.on('data', chunk => {
      text += chunk
      if (text.split('\n').length === 3) {
        socket.destroy()
        resolve(text)
      }
    })
  })
  expect(
    replies
      .trim()
      .split('\n')
      .map(text => JSON.parse(text).id),
  ).toEqual([1, 2])
})

it('hangs up on a line without an end', async () => {
  server = await ControlServer.start(path, echo)
  expect(await talk('x'.repeat(70_000))).toBe('')
})

it('a second daemon on the path is told so', async () => {
  server = await ControlServer.start(path, echo)
  await expect(ControlServer.start(path, echo)).rejects.toMatchObject({
    code: 'DAEMON_ERR_ALREADY_RUNNING',
  })
  expect(await request('ping', {}, path)).toMatchObject({ verb: 'ping' })
})

it('takes over a path that a killed daemon left', async () => {
  writeFileSync(path, '')
  server = await ControlServer.start(path, echo)
  expect(await request('ping', {}, path)).toMatchObject({ verb: 'ping' })
})

it('says what to do when no daemon answers', async () => {
  await expect(request('ping', {}, path)).rejects.toMatchObject({ code: 'DAEMON_ERR_NOT_RUNNING' })
  await expect(request('ping', {}, path)).rejects.toThrow(/device create/)
})

it('keeps a connection for several questions, and tells what lasts longer when it is gone', async () => {
  const signals: AbortSignal[] = []
  server = await ControlServer.start(path, async (verb, params, closed) => {
    signals.push(closed)
    if (verb === 'shutdown') throw new DaemonError('DAEMON_ERR_TRACE', 'no')
    return { verb, params }
  })
  const first = await connectDaemon(path)
  const second = await connectDaemon(path)
  expect(await first.request('stats', { id: 1 })).toMatchObject({ params: { id: 1 } })
  await expect(first.request('shutdown', {})).rejects.toMatchObject({ code: 'DAEMON_ERR_TRACE' })
  expect(await first.request('stats', { id: 2 })).toMatchObject({ params: { id: 2 } })
  await second.request('ping', {})
  expect(new Set(signals).size).toBe(2)
  const gone = new Promise(resolve => signals[0]!.addEventListener('abort', resolve))
  first.close()
  await gone
  expect(signals.at(-1)!.aborted).toBe(false)
  // A daemon that goes is told to whoever asks next, and to whoever waits.
  server.close()
  server = null
  await expect(second.request('ping', {})).rejects.toMatchObject({ code: 'DAEMON_ERR_NOT_RUNNING' })
  await expect(second.request('ping', {})).rejects.toMatchObject({ code: 'DAEMON_ERR_NOT_RUNNING' })
})
