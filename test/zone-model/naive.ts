/**
 * The rules of zones once more, written from the specification for reading and not for speed: plain objects, no shared
 * memory, no counters. Tests compare the real model with it after every operation.
 */
export interface NaiveZone {
  condition: 'nwp' | 'empty' | 'imp' | 'exp' | 'closed' | 'full' | 'ro' | 'off'
  wp: number
}

interface Reservation {
  zone: number
  from: number
  to: number
  before: NaiveZone['condition']
}

export class NaiveDrive {
  readonly zones: NaiveZone[]
  private cursor = 0
  private readonly reservations = new Map<number, Reservation>()

  constructor(
    count: number,
    conventional: number,
    private readonly size: number,
    private readonly capacity: number,
    private readonly block: number,
    private readonly maxOpen: number,
    private readonly maxActive: number,
    private readonly maxAppend: number,
  ) {
    this.zones = Array.from({ length: count }, (_, zone) => ({
      condition: zone < conventional ? 'nwp' : 'empty',
      wp: 0,
    }))
  }

  count(...conditions: NaiveZone['condition'][]): number {
    return this.zones.filter(zone => conditions.includes(zone.condition)).length
  }

  /** Makes room for an open zone: 0, 0x1bd or 0x1be. */
  private claim(zone: NaiveZone): number {
    const isActive = zone.condition === 'closed'
    if (!isActive && this.maxActive && this.count('imp', 'exp', 'closed') >= this.maxActive)
      return 0x1bd
    if (this.maxOpen && this.count('imp', 'exp') >= this.maxOpen) {
      for (let step = 0; step < this.zones.length; step++) {
        const index = (this.cursor + step) % this.zones.length
        if (this.zones[index]!.condition !== 'imp') continue
        this.zones[index]!.condition = 'closed'
        this.cursor = (index + 1) % this.zones.length
        return 0
      }
      return 0x1be
    }
    return 0
  }

  write(slot: number, index: number, offset: number | 'wp', count: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (zone.condition === 'nwp' && offset === 'wp') return -2
    if (count <= 0 || count % this.block || (offset !== 'wp' && offset % this.block)) return -2
    if (offset === 'wp' && count > this.maxAppend) return -2
    if (zone.condition === 'nwp') return (offset as number) + count > this.size ? -0x1b8 : 0
    if (zone.condition === 'full') return -0x1b9
    if (zone.condition === 'ro') return -0x1ba
    if (zone.condition === 'off') return -0x1bb
    if (offset !== 'wp' && offset !== zone.wp) return -0x1bc
    if (zone.wp + count > this.capacity) return -0x1b8
    const { condition: before, wp } = zone
    if (before === 'empty' || before === 'closed') {
      const refused = this.claim(zone)
      if (refused) return -refused
      zone.condition = 'imp'
    }
    zone.wp += count
    if (zone.wp === this.capacity) zone.condition = 'full'
    this.reservations.set(slot, { zone: index, from: wp, to: zone.wp, before })
    return offset === 'wp' ? wp : 0
  }

  read(index: number, offset: number, count: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (count <= 0 || count % this.block || offset % this.block) return -2
    if (offset + count > this.size) return -0x1b8
    return zone.condition === 'off' ? -0x1bb : 0
  }

  discard(index: number, offset: number, count: number): number {
    if (!this.zones[index]) return -0x80
    if (count <= 0 || count % this.block || offset % this.block) return -2
    const last = index + Math.ceil((offset + count) / this.size) - 1
    if (last >= this.zones.length) return -0x80
    for (const { condition } of this.zones.slice(index, last + 1)) {
      if (condition === 'ro') return -0x1ba
      if (condition === 'off') return -0x1bb
    }
    return 0
  }

  undo(slot: number): boolean {
    const reservation = this.reservations.get(slot)
    this.reservations.delete(slot)
    if (!reservation) return false
    const zone = this.zones[reservation.zone]!
    if (zone.condition === 'empty' || zone.condition === 'off' || zone.wp !== reservation.to)
      return false
    const wasEmpty = reservation.before === 'empty' && reservation.from === 0
    if (zone.condition === 'full' && !wasEmpty) {
      if (this.maxActive && this.count('imp', 'exp', 'closed') >= this.maxActive) return false
      const isRoom = !this.maxOpen || this.count('imp', 'exp') < this.maxOpen
      zone.condition = isRoom && reservation.before !== 'empty' ? reservation.before : 'closed'
    } else if (wasEmpty && ['imp', 'closed', 'full'].includes(zone.condition)) {
      zone.condition = 'empty'
    }
    zone.wp = reservation.from
    return true
  }

  open(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (['nwp', 'full', 'ro', 'off'].includes(zone.condition)) return -0x1bf
    if (zone.condition === 'empty' || zone.condition === 'closed') {
      const refused = this.claim(zone)
      if (refused) return -refused
    }
    zone.condition = 'exp'
    return 0
  }

  close(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (!['imp', 'exp', 'closed'].includes(zone.condition)) return -0x1bf
    zone.condition = 'closed'
    return 0
  }

  finish(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (['nwp', 'ro', 'off'].includes(zone.condition)) return -0x1bf
    Object.assign(zone, { condition: 'full', wp: this.capacity })
    return 0
  }

  reset(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (['nwp', 'ro', 'off'].includes(zone.condition)) return -0x1bf
    if (zone.condition === 'empty') return 0
    Object.assign(zone, { condition: 'empty', wp: 0 })
    for (const [slot, { zone: reserved }] of this.reservations) {
      if (reserved === index) this.reservations.delete(slot)
    }
    return 0
  }

  readOnly(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (zone.condition === 'nwp' || zone.condition === 'off') return -0x1bf
    zone.condition = 'ro'
    return 0
  }

  offline(index: number): number {
    const zone = this.zones[index]
    if (!zone) return -0x80
    if (zone.condition !== 'ro' && zone.condition !== 'off') return -0x1bf
    zone.condition = 'off'
    return 0
  }

  /** A new drive in place of a zone that is broken for good: no such command exists; the tests need it to go on. */
  replace(index: number): void {
    Object.assign(this.zones[index]!, { condition: 'empty', wp: 0 })
  }

  all(conditions: NaiveZone['condition'][], command: (index: number) => number): number {
    const chosen = this.zones.flatMap((zone, index) =>
      conditions.includes(zone.condition) ? [index] : [],
    )
    for (const index of chosen) {
      const result = command(index)
      if (result) return result
    }
    return 0
  }

  openAll(): number {
    if (this.maxOpen && this.count('exp', 'closed') > this.maxOpen) return -0x1be
    return this.all(['closed'], index => this.open(index))
  }

  /** A turn ends: everything reserved has been committed. */
  commit(): void {
    this.reservations.clear()
  }
}
