/**
 * A daemon that is only a control socket: it answers verbs with what the test says, and keeps what it was asked.
 *
 * And an `Io` that keeps what a verb writes, with a clock and an end that the test decides.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Io } from '../../cli/io.js'
import { run } from '../../cli/program.js'
import * as client from '../../daemon/client.js'

type Answer = (params: Record<string, unknown>) => unknown

export interface Asked {
  verb: string
  params: Record<string, unknown>
}

/** Throw this in an answer to send an error. */
export class Refuse extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** Serves until closed. ZSLAB_SOCKET and ZSLAB_STATE point to it. */
export class FakeDaemon {
  readonly asked: Asked[] = []
  answers: Record<string, Answer> = {}
  readonly folder = mkdtempSync(join(tmpdir(), 'zslab-cli-'))
  #server: Server | null = null

  constructor() {
    process.env['ZSLAB_SOCKET'] = join(this.folder, 'control.sock')
    process.env['ZSLAB_STATE'] = join(this.folder, 'state')
  }

  async listen(): Promise<void> {
    const server = createServer(socket => {
      socket.setEncoding('utf8')
      socket.on('error', () => {})
      socket.on('data', (line: string) => socket.write(this.#reply(line)))
    })
    await new Promise<void>(resolve => server.listen(process.env['ZSLAB_SOCKET'], resolve))
    this.#server = server
  }

  #reply(line: string): string {
    const { id, verb, params } = JSON.parse(line) as Asked & { id: number }
    this.asked.push({ verb, params })
    try {
      const answer = this.answers[verb]
      if (answer === undefined) throw new Refuse('DAEMON_ERR_REQUEST', `unknown verb ${verb}`)
      return `${JSON.stringify({ id, result: answer(params) })}\n`
    } catch (error) {
      const { code, message } = error as Refuse
      return `${JSON.stringify({ id, error: { code, message } })}\n`
    }
  }

  async close(): Promise<void> {
    await new Promise<void>(resolve => {
      if (this.#server === null) resolve()
      else this.#server.close(() => resolve())
    })
    rmSync(this.folder, { recursive: true })
  }
}

/** What a run of the command line left. */
export interface Ran {
  code: number
  out: string
  err: string
  ioctls: string[]
}

/** Run a command line against the socket in the environment. Nothing is started; zone ioctls are written down. */
export async function zslab(
  argv: readonly string[],
  override: Partial<Io> & { outIsTerminal?: boolean } = {},
): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '', ioctls: [] }
  const io: Io = {
    out: text => {
      ran.out += text
    },
    err: text => {
      ran.err += text
    },
    drained: () => Promise.resolve(),
    outIsTerminal: false,
    errIsTerminal: false,
    hasColour: false,
    outBytes: bytes => {
      ran.out += Buffer.from(bytes).toString('latin1')
    },
    input: () => Promise.resolve(new Uint8Array()),
    store: () => import('../../store/index.js'),
    interactive: false,
    nowMs: () => 0,
    wait: () => Promise.resolve(false),
    interruption: () => ({ done: Promise.resolve(true), cancel: () => {} }),
    client: () =>
      Promise.resolve({
        ...client,
        ensureDaemon: async () => {
          await client.request('ping', {})
        },
        zoneCommand: (path, operation, startSector, sectors) => {
          ran.ioctls.push(`${path} ${operation} ${startSector}+${sectors}`)
          return Promise.resolve()
        },
        refreshKernelZones: (path, startSector, count) => {
          ran.ioctls.push(`${path} report ${startSector} ${count}`)
          return Promise.resolve()
        },
      }),
    vm: () => Promise.reject(new Error('no VM in a unit test')),
    ...override,
  }
  ran.code = await run(argv, io)
  return ran
}
