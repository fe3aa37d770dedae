/** Downloads that do not end well: the error says what happened, and is one that the command line knows. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { downloadBytes } from '../../vm/download.js'

let server: Server
let answer: RequestListener
const address = 'http://mirror.invalid/InRelease'

beforeEach(async () => {
  server = createServer((request, response) => answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // Asked as a proxy, so that the proxy of this machine's apt does not come between.
  vi.stubEnv('http_proxy', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
})

it('gives the bytes', async () => {
  answer = (_, response) => response.end('hello')
  expect((await downloadBytes(address)).toString()).toBe('hello')
})

it('a server that stalls in the middle is an error of the download', async () => {
  answer = (_, response) => void response.writeHead(200, { 'content-length': '10' }).write('half')
  await expect(downloadBytes(address, 50)).rejects.toMatchObject({ code: 'ERR_VM_DOWNLOAD' })
})

it('a server that hangs up in the middle is an error of the download', async () => {
  answer = (_, response) => {
    response.writeHead(200, { 'content-length': '10' }).write('half', () => response.destroy())
  }
  await expect(downloadBytes(address)).rejects.toMatchObject({
    code: 'ERR_VM_DOWNLOAD',
    message: expect.stringContaining('broke off'),
  })
})

it('a server that never answers is an error of the download', async () => {
  answer = () => {}
  await expect(downloadBytes(address, 50)).rejects.toMatchObject({ code: 'ERR_VM_DOWNLOAD' })
})
