/**
 * The host's ends of the guest's ports: one Unix socket each, listening before QEMU starts.
 *
 * They carry the command's output, input, terminal and exit code; flow control goes through to the command, because QEMU
 * stops taking from the guest when a socket is full.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import type { GuestPlan } from './initramfs.js'
import { MarkedOutput } from './output.js'

export interface Wires {
  /** The guest is about to run the command. */
  readonly up: Promise<void>
  /** The exit code, once all output has been passed on. */
  readonly finished: Promise<number>
  close(): Promise<void>
}

export interface WireTargets {
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
}

function listen(path: string, connected: (socket: Socket) => void): Promise<Server> {
  const server = createServer(connected)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

/** Resolves with the exit code when "exit <code>" came, calls `up` when "up" did. */
function readControl(socket: Socket, up: () => void): Promise<number> {
  let text = ''
  return new Promise(resolve => {
    socket.on('data', chunk => {
      text += String(chunk)
      if (/^up /m.test(text)) up()
      const code = /^exit (\d+)\n/m.exec(text)?.[1]
      if (code !== undefined) resolve(Number(code))
    })
  })
}

/** Our terminal becomes the guest's: raw, its size told to the guest. Returns what undoes it. */
function lendTerminal(tty: Socket): () => void {
  const { stdin, stdout } = process
  if (stdin.isTTY) stdin.setRawMode(true)
  stdin.pipe(tty, { end: false })
  tty.pipe(stdout, { end: false })
  return () => {
    tty.unpipe(stdout)
    stdin.unpipe(tty)
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
  }
}

function tellSize(control: Socket): () => void {
  const { stdout } = process
  const tell = (): void => {
    control.write(`size ${stdout.rows} ${stdout.columns}\n`)
  }
  stdout.on('resize', tell)
  return () => stdout.off('resize', tell)
}

/** Passes a port's bytes on; settles when its end mark came and everything before it has been handed over. */
function passOn(socket: Socket, target: NodeJS.WritableStream, nonce: string): Promise<void> {
  const output = new MarkedOutput(nonce)
  const ended = new Promise<void>(resolve => {
    output.once('end', resolve)
  })
  output.once('mark', () => {
    socket.unpipe(output)
    output.end()
  })
  socket.pipe(output).pipe(target, { end: false })
  // A reader that went away (`zslab vm … | head`) must not stop the guest: take what comes and drop it.
  const drop = (): void => {
    output.unpipe(target)
    output.resume()
  }
  target.once('error', drop)
  return ended.finally(() => target.removeListener('error', drop))
}

/** Lends `socket` our standard input: the guest reads its end when ours ends. Returns what undoes it. */
function lendInput(socket: Socket): () => void {
  process.stdin.pipe(socket)
  return () => {
    process.stdin.unpipe(socket)
    process.stdin.pause()
  }
}

/** Opens the sockets of one run in `folder`. */
export async function openWires(
  folder: string,
  plan: GuestPlan,
  targets: WireTargets,
): Promise<Wires> {
  const sockets: Socket[] = []
  const servers: Server[] = []
  const undo: (() => void)[] = []
  const wire = async (name: string, use: (socket: Socket) => void): Promise<void> => {
    const server = await listen(join(folder, name), socket => {
      sockets.push(socket)
      // QEMU is killed, not closed: a reset is how its sockets end.
      socket.on('error', () => {})
      use(socket)
    })
    servers.push(server)
  }
  const settled = <T>(): { promise: Promise<T>; resolve: (value: T | Promise<T>) => void } => {
    let resolve: (value: T | Promise<T>) => void = () => {}
    const promise = new Promise<T>(done => {
      resolve = done
    })
    return { promise, resolve }
  }
  const up = settled<void>()
  const code = settled<number>()
  const out = settled<void>()
  const err = settled<void>()
  await wire('ctl', socket => {
    code.resolve(readControl(socket, up.resolve))
    if (plan.interactive) undo.push(tellSize(socket))
  })
  await wire('out', socket =>
    out.resolve(passOn(socket, targets.stdout ?? process.stdout, plan.nonce)),
  )
  await wire('err', socket =>
    err.resolve(passOn(socket, targets.stderr ?? process.stderr, plan.nonce)),
  )
  await wire('in', socket => {
    if (plan.hasStdin && !plan.interactive) undo.push(lendInput(socket))
  })
  let isOpen = true
  const lend = (socket: Socket): void => {
    // Until the guest listens the terminal is ours: Ctrl-C then ends a boot that somebody is tired of.
    void up.promise.then(() => {
      if (isOpen) undo.push(lendTerminal(socket))
    })
  }
  if (plan.interactive) await wire('tty', lend)
  const outputs = plan.interactive ? [] : [out.promise, err.promise]
  return {
    up: up.promise,
    finished: Promise.all([code.promise, ...outputs]).then(([value]) => value),
    close: async () => {
      isOpen = false
      for (const action of undo) action()
      for (const socket of sockets) socket.destroy()
      for (const server of servers) server.close()
    },
  }
}
