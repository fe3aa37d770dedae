/**
 * Fetches a file over HTTP into memory or onto disk, with progress, a checksum and messages that say what to do.
 *
 * Guarantees: what `downloadFile` returns from has the SHA256 that was asked for; a stalled server ends in an error; an
 * HTTP proxy set for apt or in `http_proxy` is used for http:// addresses.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { pipeline } from 'node:stream/promises'
import { VmError } from './errors.js'
import { findProgram } from './requirements.js'

const STALL_MS = 30_000
const REDIRECTS_MAX = 5

/** Called as bytes arrive. `total` is what the server or the caller said, 0 when nobody did. */
export type Progress = (received: number, total: number) => void

let aptProxy: string | undefined

/** The proxy for http:// addresses: the environment's, then apt's. Empty when there is none. */
function httpProxy(): string {
  const set = process.env['http_proxy'] ?? process.env['HTTP_PROXY']
  if (set !== undefined && set !== '') return set
  if (aptProxy === undefined) {
    aptProxy = ''
    if (findProgram('apt-config') !== undefined) {
      const text = execFileSync('apt-config', ['shell', 'P', 'Acquire::http::Proxy'], {
        encoding: 'utf8',
      })
      aptProxy = /^P='(http:[^']+)'/.exec(text)?.[1] ?? ''
    }
  }
  return aptProxy
}

function request(address: string, stallMs: number): Promise<http.IncomingMessage> {
  const url = new URL(address)
  const proxy = url.protocol === 'http:' ? httpProxy() : ''
  const headers = { 'user-agent': 'zns-slab', ...(proxy === '' ? {} : { host: url.host }) }
  return new Promise((resolve, reject) => {
    const via = proxy === '' ? url : new URL(proxy)
    const path = proxy === '' ? `${url.pathname}${url.search}` : address
    const get = url.protocol === 'https:' ? https.get : http.get
    const sent = get({ hostname: via.hostname, port: via.port, path, headers }, resolve)
    sent.setTimeout(stallMs, () => sent.destroy(new Error(`no data for ${stallMs / 1000} s`)))
    sent.on('error', reject)
  })
}

async function open(address: string, stallMs: number): Promise<http.IncomingMessage> {
  let current = address
  for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
    const response = await request(current, stallMs).catch((error: Error) => {
      throw new VmError(
        'ERR_VM_DOWNLOAD',
        `Cannot reach ${current} (${error.message || String(error)}). The VM's kernel is downloaded once and then used ` +
          'offline: connect to the network, or name a mirror with ZSLAB_DEBIAN_MIRROR=http://…/debian.',
        { cause: error },
      )
    })
    const status = response.statusCode ?? 0
    if (status === 200) return response
    response.resume()
    const location = response.headers.location
    if (status < 300 || status > 399 || location === undefined) {
      throw new VmError(
        'ERR_VM_DOWNLOAD',
        `${current} answered ${status}. If the mirror is out of date, name another with ZSLAB_DEBIAN_MIRROR=http://…/debian.`,
      )
    }
    current = new URL(location, current).href
  }
  throw new VmError('ERR_VM_DOWNLOAD', `${address}: more than ${REDIRECTS_MAX} redirects.`)
}

/** For a transfer that began and did not end: the server stalled, or hung up. */
function brokeOff(address: string): (error: Error) => never {
  return error => {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new VmError(
        'ERR_VM_DOWNLOAD',
        'The disk of the kernel cache is full. Make room, or name a folder elsewhere with ZSLAB_CACHE.',
        { cause: error },
      )
    }
    throw new VmError('ERR_VM_DOWNLOAD', `${address} broke off (${error.message}). Try again.`, {
      cause: error,
    })
  }
}

async function collect(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The bytes at `address`. Throws VmError ERR_VM_DOWNLOAD when it cannot be had, or no data comes for `stallMs`. */
export async function downloadBytes(address: string, stallMs = STALL_MS): Promise<Buffer> {
  return await collect(await open(address, stallMs)).catch(brokeOff(address))
}

/** Writes what is at `address` to `path`. Throws VmError ERR_VM_DOWNLOAD, and ERR_VM_CHECKSUM when it is not `sha256`. */
export async function downloadFile(
  address: string,
  path: string,
  sha256: string,
  progress: Progress,
): Promise<void> {
  const response = await open(address, STALL_MS)
  const total = Number(response.headers['content-length'] ?? 0)
  const hash = createHash('sha256')
  let received = 0
  response.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    received += chunk.length
    progress(received, total)
  })
  await pipeline(response, createWriteStream(path)).catch(brokeOff(address))
  const found = hash.digest('hex')
  if (found !== sha256) {
    throw new VmError(
      'ERR_VM_CHECKSUM',
      `${address} has SHA256 ${found}, its index says ${sha256}. Try again, or another mirror (ZSLAB_DEBIAN_MIRROR).`,
    )
  }
}

/** A progress bar on a terminal's stderr; elsewhere one line when it starts. `done` ends the line. */
export function progressBar(label: string, bytes: number): { update: Progress; done: () => void } {
  const mebibytes = (count: number): string => (count / 1048576).toFixed(0)
  const start = Date.now()
  if (!process.stderr.isTTY) {
    process.stderr.write(`${label} (${mebibytes(bytes)} MiB)\n`)
    return { update: () => {}, done: () => {} }
  }
  let shownAt = 0
  const update: Progress = received => {
    const now = Date.now()
    if (now - shownAt < 100 && received < bytes) return
    shownAt = now
    const filled = Math.round((30 * received) / bytes)
    const bar = '█'.repeat(filled).padEnd(30, '░')
    process.stderr.write(`\r${label} ${bar} ${mebibytes(received)}/${mebibytes(bytes)} MiB`)
  }
  const done = (): void => {
    process.stderr.write(` ${((Date.now() - start) / 1000).toFixed(1)} s\n`)
  }
  return { update, done }
}
