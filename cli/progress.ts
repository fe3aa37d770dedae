/**
 * One line on stderr that says how far something is: only on a terminal, only when it takes longer than a second.
 */
import type { Io } from './io.js'
import { formatRough, formatTime } from './quantities.js'

const AFTER_MS = 1000
const EVERY_MS = 100
const BAR_WIDTH = 24
const BAR_WIDTH_MIN = 8
/** What is said beside the bar, at most as a rule. */
const BESIDE_BAR = 55
/** To the beginning of the line, and clear to its end. */
const CLEAR = '\r\u001b[K'
const COLUMNS_DEFAULT = 80

export class ProgressLine {
  readonly #madeMs: number
  /** Of what is being counted. */
  #beganMs: number
  #drawnMs = Number.NEGATIVE_INFINITY
  #isDrawn = false

  constructor(private readonly io: Io) {
    this.#madeMs = io.nowMs()
    this.#beganMs = this.#madeMs
  }

  /** Something else is counted from now on: its rate is its own. */
  begin(): void {
    this.#beganMs = this.io.nowMs()
  }

  /** `done` of `total` things are: a bar, the rate, the time left. */
  share(what: string, done: number, total: number, things: string): void {
    const nowMs = this.io.nowMs()
    if (!this.#isDue(nowMs)) return
    const elapsedMs = Math.max(1, nowMs - this.#beganMs)
    const rate = (done / elapsedMs) * 1000
    const part = total === 0 ? 1 : done / total
    const leftMs = done === 0 ? 0 : ((total - done) * elapsedMs) / done
    const columns = (this.io.columns ?? COLUMNS_DEFAULT) - 1
    const width = Math.max(BAR_WIDTH_MIN, Math.min(BAR_WIDTH, columns - BESIDE_BAR))
    const marks = Math.round(part * width)
    const bar = `${'█'.repeat(marks)}${'░'.repeat(width - marks)}`
    const percent = `${Math.floor(part * 100)}%`.padStart(4)
    const left = done === 0 ? '' : `, ${formatTime(Math.ceil(leftMs / 1000) * 1000)} left`
    const count = `  ${formatRough(done)} of ${formatRough(total)}`
    const speed = `, ${formatRough(rate)} ${things}/s`
    // What has no room goes whole: half a number would be another number.
    let text = `${what} ${bar}${percent}`
    for (const more of [count, speed, left]) {
      if (text.length + more.length <= columns) text += more
    }
    this.#draw(text)
  }

  #isDue(nowMs: number): boolean {
    if (!this.io.errIsTerminal || nowMs - this.#madeMs < AFTER_MS) return false
    if (nowMs - this.#drawnMs < EVERY_MS) return false
    this.#drawnMs = nowMs
    return true
  }

  /** Never longer than the line: what wraps cannot be drawn over. */
  #draw(text: string): void {
    const width = (this.io.columns ?? COLUMNS_DEFAULT) - 1
    this.io.err(`${CLEAR}${text.slice(0, width)}`)
    this.#isDrawn = true
  }

  /** The line is gone. */
  clear(): void {
    if (this.#isDrawn) this.io.err(CLEAR)
    this.#isDrawn = false
  }
}
