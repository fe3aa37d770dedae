// Random operations on the drive in argv[3] with the module argv[2] and the seed argv[4], until it is killed. A line on stdout
// for what is promised from now on: "zone life blocks" before and after, so that the parent knows what may be there.
import { writeSync } from 'node:fs'

const { openFileDrive } = await import(process.argv[2])
const drive = await openFileDrive(process.argv[3])
let state = Number(process.argv[4])
const random = below => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return (state >>> 8) % below
}
const say = line => writeSync(1, `${line}\n`)
const zones = 8
const capacity = 64
const lives = new Array(zones).fill(0)
const wps = new Array(zones).fill(0)
say('begin')
for (;;) {
  const zone = random(zones)
  const kind = random(20)
  if (kind === 0) {
    const promised = lives.map((life, at) => `${at} ${life} ${wps[at]}`)
    await drive.flush()
    for (const line of promised) say(`safe ${line}`)
  } else if (kind === 1 || wps[zone] === capacity) {
    lives[zone]++
    say(`began ${zone} ${lives[zone]} 0`)
    await drive.reset(zone)
    wps[zone] = 0
    say(`safe ${zone} ${lives[zone]} 0`)
  } else {
    const count = Math.min(1 + random(8), capacity - wps[zone])
    const words = new Uint32Array(count * 1024)
    for (let at = 0; at < words.length; at++)
      words[at] = zone * 1e8 + lives[zone] * 1e3 + wps[zone] + (at >> 10)
    say(`began ${zone} ${lives[zone]} ${wps[zone] + count}`)
    await drive.append(zone, new Uint8Array(words.buffer))
    wps[zone] += count
  }
}
