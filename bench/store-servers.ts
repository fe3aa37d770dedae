/**
 * Redis and memcached as the store's benches use them: started on a socket of their own, filled by pipelined requests, killed.
 *
 * They come from Debian's packages. Where they are not installed, `startServer` gives null and the bench says what to install.
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { KEY_BYTES, keyInto, VALUE_BYTES, valueFor } from './store-data.js'
import { ended, startPinned } from './store-run.js'

const FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin']
const START_MS_MAX = 30_000
const PIPELINE = 1000

export type Program = 'redis-server' | 'memcached'

export const isInstalled = (program: Program): boolean =>
  FOLDERS.some(folder => existsSync(join(folder, program)))
export const notInstalled = (program: Program): string =>
  `${program}: not measured: not installed (apt-get install ${program})`

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** One connection. One request is under way at a time; it may be many in a row. */
class Connection {
  #parts: Buffer[] = []
  #bytes = 0
  #check: () => void = () => {}

  private constructor(private readonly socket: Socket) {
    socket.on('data', part => {
      this.#parts.push(part)
      this.#bytes += part.length
      this.#check()
    })
  }

  static open(path: string): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new Connection(socket)))
      socket.on('error', reject)
    })
  }

  /** Sends, and waits until `isWhole` of what came back. */
  #exchange(request: Buffer | string, isWhole: () => boolean): Promise<Buffer> {
    this.#parts = []
    this.#bytes = 0
    return new Promise(resolve => {
      this.#check = () => {
        if (isWhole()) resolve(Buffer.concat(this.#parts))
      }
      this.socket.write(request)
    })
  }

  /** The answer is so many bytes long at least. */
  bytes(request: Buffer | string, count: number): Promise<Buffer> {
    return this.#exchange(request, () => this.#bytes >= count)
  }

  /** The answer ends with `end`. */
  async text(request: string, end: string): Promise<string> {
    const isWhole = () => this.#parts.at(-1)!.subarray(-end.length).toString('latin1') === end
    return (await this.#exchange(request, isWhole)).toString('latin1')
  }

  close(): void {
    this.socket.destroy()
  }
}

/** Writes a request for an object to `target`, gives where it ends. */
type Request = (target: Buffer, at: number, number: number, ttlMs: number) => number

function withObject(target: Buffer, at: number, number: number, between: string): number {
  keyInto(target.subarray(at), number)
  const valueAt = at + KEY_BYTES + target.write(between, at + KEY_BYTES, 'latin1')
  return valueAt + valueFor(number).copy(target, valueAt)
}

const redisSet: Request = (target, at, number, ttlMs) => {
  const ttl = String(ttlMs)
  const head = `*5\r\n$3\r\nSET\r\n$${KEY_BYTES}\r\n`
  const end = withObject(
    ...([target, at + target.write(head, at, 'latin1'), number] as const),
    `\r\n$${VALUE_BYTES}\r\n`,
  )
  return end + target.write(`\r\n$2\r\nPX\r\n$${ttl.length}\r\n${ttl}\r\n`, end, 'latin1')
}

const memcachedSet: Request = (target, at, number, ttlMs) => {
  const keyAt = at + target.write('set ', at, 'latin1')
  const between = ` 0 ${Math.ceil(ttlMs / 1000)} ${VALUE_BYTES}\r\n`
  const end = withObject(target, keyAt, number, between)
  return end + target.write('\r\n', end, 'latin1')
}

const REQUESTS = {
  'redis-server': { set: redisSet, answer: '+OK\r\n' },
  memcached: { set: memcachedSet, answer: 'STORED\r\n' },
} as const

export class Server {
  readonly #requests = Buffer.allocUnsafe(PIPELINE * 512)

  constructor(
    readonly program: Program,
    private readonly process: ChildProcess,
    private readonly connection: Connection,
  ) {}

  get pid(): number {
    return this.process.pid!
  }

  /** Sets objects `from` to `to`; `ttlOf` in milliseconds. */
  async setAll(from: number, to: number, ttlOf: (number: number) => number): Promise<void> {
    const { set, answer } = REQUESTS[this.program]
    for (let at = from; at < to; at += PIPELINE) {
      const count = Math.min(PIPELINE, to - at)
      let end = 0
      for (let i = at; i < at + count; i++) end = set(this.#requests, end, i, ttlOf(i))
      const reply = await this.connection.bytes(
        this.#requests.subarray(0, end),
        count * answer.length,
      )
      if (reply.length !== count * answer.length)
        throw new Error(`${this.program} said ${reply.toString('latin1', 0, 80)}`)
    }
  }

  /** Redis alone: the value's length, or -1. */
  async get(number: number): Promise<number> {
    const target = this.#requests
    const head = target.write(`*2\r\n$3\r\nGET\r\n$${KEY_BYTES}\r\n`, 0, 'latin1')
    keyInto(target.subarray(head), number)
    const end = head + KEY_BYTES + target.write('\r\n', head + KEY_BYTES, 'latin1')
    const reply = await this.connection.bytes(target.subarray(0, end), '$-1\r\n'.length)
    return reply.toString('latin1', 0, 3) === '$-1' ? -1 : VALUE_BYTES
  }

  /** A number of Redis' INFO, or of memcached's `stats`. */
  async info(section: string, name: string): Promise<number> {
    const text = await this.report(section)
    const match = new RegExp(`^(?:STAT )?${name}[: ](\\d+)`, 'm').exec(text)
    if (match === null) throw new Error(`${this.program}: no ${name} in: ${text}`)
    return Number(match[1])
  }

  report(section: string): Promise<string> {
    return this.program === 'memcached'
      ? this.connection.text(`stats${section === '' ? '' : ` ${section}`}\r\n`, 'END\r\n')
      : this.connection.text(`INFO ${section}\r\n`, '\r\n')
  }

  /** Redis answers everything with -LOADING while it reads its files. */
  async waitUntilLoaded(): Promise<void> {
    while (!(await this.connection.text('PING\r\n', '\r\n')).startsWith('+PONG')) await pause(2)
  }

  /** Redis: how many keys it holds, those it has not noticed to be expired among them. */
  async size(): Promise<number> {
    return Number((await this.connection.text('DBSIZE\r\n', '\r\n')).slice(1))
  }

  async kill(): Promise<void> {
    this.connection.close()
    this.process.kill('SIGKILL')
    await ended(this.process)
  }
}

/** Starts a server with `folder` for its socket and files; resolves when it answers. Null: it is not installed. */
export async function startServer(
  program: Program,
  folder: string,
  options: readonly string[],
): Promise<Server | null> {
  if (!isInstalled(program)) return null
  const path = join(folder, `${program}.socket`)
  const own =
    program === 'memcached'
      ? ['-s', path, '-u', 'root', '-t', '1']
      : ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', '']
  const child = startPinned(program, [...own, ...options])
  child.stdout!.resume()
  for (const start = Date.now(); Date.now() - start < START_MS_MAX; await pause(2)) {
    const connection = await Connection.open(path).catch(() => null)
    if (connection === null) {
      if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
      continue
    }
    const server = new Server(program, child, connection)
    if (program === 'redis-server') await server.waitUntilLoaded()
    return server
  }
  throw new Error(`${program} does not answer on ${path}`)
}
