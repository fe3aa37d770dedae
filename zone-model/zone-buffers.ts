/**
 * Where the memory of a drive's zones comes from. This file has the one that any JavaScript engine can: an ArrayBuffer each.
 */

export interface ZoneBuffers {
  /** Memory comes and goes in pieces of so many bytes. */
  readonly pageBytes: number
  /** Zeros, which take no memory before they are written. Throws when there is no memory. */
  take(bytes: number): Uint8Array
  /** What take() gave goes back, at once. */
  give(bytes: Uint8Array): void
}

/** As much of the web's MessagePort as is used here. */
interface Port {
  postMessage(message: null, transferred: readonly ArrayBufferLike[]): void
  close(): void
}

/** A channel whose other end is closed: what is transferred into it is freed there and then (HTML, structured data). */
function closedPort(): Port {
  const { MessageChannel } = globalThis as unknown as {
    MessageChannel: new () => { port1: Port; port2: Port }
  }
  const { port1, port2 } = new MessageChannel()
  port1.close()
  port2.close()
  return port1
}

/**
 * An ArrayBuffer a zone, freed without waiting for a garbage collection. glibc keeps what is freed in pieces of less than 32 MiB
 * for later ones, and V8 collects garbage once for about every 64 MiB that are taken.
 */
export class HeapBuffers implements ZoneBuffers {
  readonly pageBytes = 4096
  readonly #drain = closedPort()

  take(bytes: number): Uint8Array {
    return new Uint8Array(bytes)
  }

  /** The buffer is detached: views of it have no bytes any more. */
  give(bytes: Uint8Array): void {
    this.#drain.postMessage(null, [bytes.buffer])
  }
}
