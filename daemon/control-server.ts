/**
 * The control socket: a Unix socket of mode 0600, JSON lines (protocol.ts), any number of connections.
 *
 * That only one daemon serves a socket path is made sure by an abstract socket of the same name, which the kernel frees with
 * its process: so a path left by a daemon that was killed can be taken over without a race.
 */
import { mkdirSync, unlinkSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { DaemonError } from './errors.js'
import type { Reply, Request } from './protocol.js'

const LINE_BYTES_MAX = 64 * 1024

/** `closed` is aborted when the connection that asked is gone: what lasts longer than an answer ends with it. */
export type Handler = (
  verb: string,
  params: Record<string, unknown>,
  closed: AbortSignal,
) => Promise<unknown>

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function toError(error: unknown): NonNullable<Reply['error']> {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return { code: typeof code === 'string' ? code : 'DAEMON_ERR_REQUEST', message: String(message) }
}

function parse(line: string): Request {
  try {
    const request = JSON.parse(line) as Partial<Request>
    const { id, verb, params = {} } = request
    const isObject = typeof params === 'object' && params !== null && !Array.isArray(params)
    if (typeof verb === 'string' && typeof id === 'number' && isObject) return { id, verb, params }
  } catch {
    // Falls through: whatever it was, it was not a request.
  }
  const message = 'expected a line {"id": number, "verb": string, "params": object}'
  throw new DaemonError('DAEMON_ERR_REQUEST', message)
}

export class ControlServer {
  readonly #handle: Handler
  readonly #lock: Server
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #lastUseMs = Date.now()

  private constructor(handle: Handler) {
    this.#handle = handle
    this.#lock = createServer(socket => socket.destroy())
    this.#server = createServer(socket => this.#serve(socket))
  }

  /** Rejects with DAEMON_ERR_ALREADY_RUNNING when a living daemon has this path. */
  static async start(path: string, handle: Handler): Promise<ControlServer> {
    const control = new ControlServer(handle)
    try {
      await listen(control.#lock, `\0zslab:${path}`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
      const message = `another daemon serves ${path}: use it, or give this one another socket (ZSLAB_SOCKET)`
      throw new DaemonError('DAEMON_ERR_ALREADY_RUNNING', message, { cause: error })
    }
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    try {
      unlinkSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    const mask = process.umask(0o177)
    try {
      await listen(control.#server, path)
    } finally {
      process.umask(mask)
    }
    return control
  }

  /** When the last request came in, and whether somebody is connected: for a daemon that ends when it is idle. */
  get idleSinceMs(): number {
    return this.#sockets.size > 0 ? Date.now() : this.#lastUseMs
  }

  close(): void {
    this.#server.close()
    this.#lock.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    let text = ''
    const closed = new AbortController()
    socket.setEncoding('utf8')
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      closed.abort()
      this.#sockets.delete(socket)
      this.#lastUseMs = Date.now()
    })
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.length > LINE_BYTES_MAX) return void socket.destroy()
      const lines = text.split('\n')
      text = lines.pop()!
      for (const line of lines) void this.#answer(socket, line, closed.signal)
    })
  }

  async #answer(socket: Socket, line: string, closed: AbortSignal): Promise<void> {
    let reply: Reply = { id: 0 }
    try {
      const request = parse(line)
      reply = { id: request.id }
      reply.result = await this.#handle(request.verb, request.params, closed)
    } catch (error) {
      reply.error = toError(error)
    }
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`)
  }
}
