/**
 * One question to the daemon, and what to do when none runs.
 *
 * Devices of a daemon that was killed are orphans: nobody answers for them, though their state is there. A command that
 * asks about devices then starts a daemon, which finds them; where there is no state there is nothing to find.
 */
import { readdirSync } from 'node:fs'
import type { Verb, Verbs } from '../daemon/client.js'
import type { ClientModule, Io } from './io.js'

function hasState(client: ClientModule): boolean {
  try {
    return readdirSync(client.stateRoot()).some(name => /^\d+$/.test(name))
  } catch {
    return false
  }
}

/** Whether a daemon answers on the control socket. */
export async function isDaemonRunning(client: ClientModule): Promise<boolean> {
  try {
    await client.request('ping', {})
    return true
  } catch (error) {
    if (error instanceof client.DaemonError && error.code === 'DAEMON_ERR_NOT_RUNNING') return false
    throw error
  }
}

/** Ask; start a daemon first if none runs and a dead one left devices. Rejects with DaemonError. */
export async function ask<V extends Verb>(
  io: Io,
  verb: V,
  params: Verbs[V]['params'],
): Promise<Verbs[V]['result']> {
  const client = await io.client()
  try {
    return await client.request(verb, params)
  } catch (error) {
    const isDown = error instanceof client.DaemonError && error.code === 'DAEMON_ERR_NOT_RUNNING'
    if (!isDown || !hasState(client)) throw error
  }
  await client.ensureDaemon()
  return await client.request(verb, params)
}
