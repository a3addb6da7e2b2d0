// Volume over time as bars: all, warnings and errors on top of each other. A bar is clicked to look closer.
import { count, el } from './dom.ts'

export interface Volume {
  complete: boolean
  events: number
  lines: number
  stepSeconds: number
  buckets: { time: string; events: number; warnings: number; errors: number }[]
}

const SVG = 'http://www.w3.org/2000/svg'
const WIDTH = 1000
const HEIGHT = 80
/** Bars drawn; a range of more steps (a gap of years between lines) is drawn by the steps that have lines. */
const SLOTS_MAX = 400

export function drawVolume(place: HTMLElement, volume: Volume, onRange: (since: string, until: string) => void): void {
  const { buckets, stepSeconds } = volume
  if (buckets.length === 0) {
    place.replaceChildren()
    return
  }
  const stepMs = stepSeconds * 1000
  const startMs = Date.parse(buckets[0].time)
  const steps = Math.round((Date.parse(buckets[buckets.length - 1].time) - startMs) / stepMs) + 1
  const isDense = steps <= SLOTS_MAX
  const slots = isDense ? Math.max(steps, 20) : buckets.length
  const most = Math.max(...buckets.map(({ events }) => events))
  const width = WIDTH / slots

  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', `${volume.events} events over time`)
  const rect = (className: string, x: number, y: number, w: number, h: number) => {
    const box = document.createElementNS(SVG, 'rect')
    const set = { class: className, x, y, width: w, height: h }
    for (const [name, value] of Object.entries(set)) box.setAttribute(name, String(value))
    svg.append(box)
    return box
  }
  for (const [i, { time, events, warnings, errors }] of buckets.entries()) {
    const atMs = Date.parse(time)
    const x = (isDense ? Math.round((atMs - startMs) / stepMs) : i) * width
    let top = HEIGHT
    for (const [className, n] of [
      ['bar error', errors],
      ['bar warn', warnings],
      ['bar', events - errors - warnings],
    ] as const) {
      if (n === 0) continue
      // At least one unit: a single error among a million lines is what one looks for.
      const height = Math.max(1.5, (n / most) * (HEIGHT - 4))
      top -= height
      rect(className, x + width * 0.08, Math.max(0, top), width * 0.84, height)
    }
    const slot = rect('slot', x, 0, width, HEIGHT)
    const title = document.createElementNS(SVG, 'title')
    title.textContent = `${new Date(atMs).toLocaleString()}: ${count(events)} events, ${count(warnings)} warnings, ${count(errors)} errors`
    slot.append(title)
    slot.addEventListener('click', () => onRange(new Date(atMs).toISOString(), new Date(atMs + stepMs).toISOString()))
  }
  const label = (ms: number) => new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
  const endMs = isDense ? startMs + slots * stepMs : Date.parse(buckets[buckets.length - 1].time) + stepMs
  place.replaceChildren(
    svg,
    el('div', { class: 'axis' }, el('span', { text: label(startMs) }), el('span', { text: label(endMs) })),
  )
}
