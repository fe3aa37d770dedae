/**
 * A connection to the daemon: one question after the other, for as long as it is open.
 *
 * What the daemon does for a connection (a recording) ends with it. Guarantees: a daemon that is not there, or goes away in
 * the middle, is DAEMON_ERR_NOT_RUNNING; its own errors arrive with their code and message.
 */
import { createConnection, type Socket } from 'node:net'
import { DAEMON_ERRORS, DaemonError, type DaemonErrorCode } from './errors.js'
import { socketPath } from './paths.js'
import type { Reply, Verb, Verbs } from './protocol.js'

function asDaemonError(error: { code: string; message: string }): DaemonError {
  const code = error.code in DAEMON_ERRORS ? (error.code as DaemonErrorCode) : 'DAEMON_ERR_REQUEST'
  return new DaemonError(code, error.message)
}

function unreachable(path: string, error: NodeJS.ErrnoException): DaemonError {
  if (error.code === 'EACCES') {
    const message = `not allowed to use the control socket ${path}: run with sudo`
    return new DaemonError('DAEMON_ERR_PERMISSION', message, { cause: error })
  }
  const message = `no daemon answers on ${path}: \`zslab device create\` starts one`
  return new DaemonError('DAEMON_ERR_NOT_RUNNING', message, { cause: error })
}

interface Waiting {
  resolve(reply: Reply): void
  reject(error: DaemonError): void
}

export class Connection {
  readonly #socket: Socket
  #text = ''
  #waiting: Waiting | null = null
  #lastId = 0
  #failure: DaemonError | null = null

  /** Of a socket that is connected: see {@link connect}. */
  constructor(socket: Socket, path: string) {
    this.#socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => this.#take(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#fail(unreachable(path, error)))
    socket.on('close', () => {
      const message = 'the daemon closed the connection without an answer: see its log'
      this.#fail(new DaemonError('DAEMON_ERR_NOT_RUNNING', message))
    })
  }

  /** One at a time: the next after the answer. Rejects with DaemonError. */
  async request<V extends Verb>(verb: V, params: Verbs[V]['params']): Promise<Verbs[V]['result']> {
    const failure = this.#failure
    if (failure !== null) throw failure
    const id = ++this.#lastId
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(`${JSON.stringify({ id, verb, params })}\n`)
    })
    if (reply.error !== undefined) throw asDaemonError(reply.error)
    return reply.result as Verbs[V]['result']
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(chunk: string): void {
    this.#text += chunk
    // Only what is new is searched: a report of all zones comes in hundreds of pieces.
    if (!chunk.includes('\n')) return
    const end = this.#text.indexOf('\n')
    const line = this.#text.slice(0, end)
    this.#text = this.#text.slice(end + 1)
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.resolve(JSON.parse(line) as Reply)
  }

  #fail(error: DaemonError): void {
    this.#failure ??= error
    this.#waiting?.reject(this.#failure)
    this.#waiting = null
  }
}

/** Resolves when the daemon has taken the connection. Rejects with DaemonError. */
export function connect(path = socketPath()): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    const refuse = (error: NodeJS.ErrnoException): void => reject(unreachable(path, error))
    socket.once('error', refuse)
    socket.once('connect', () => {
      socket.off('error', refuse)
      resolve(new Connection(socket, path))
    })
  })
}
