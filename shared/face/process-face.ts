// The HTTP port of a process that serves no pages: is it alive, can it go on without loss, its figures, its state.
import type { FastifyInstance } from 'fastify'
import type { World } from '../world.ts'
import { type LatePort, openLatePort } from './late-port.ts'

export interface FaceConfig {
  host: string
  /** 0: any free one. */
  port: number
  /** Names besides loopback and `host` under which the port may be asked. */
  allowedHosts?: string[]
}

export interface FaceFigure {
  name: string
  help: string
  value(): number
}

/** A figure of which there are several, told apart by a label. */
export interface FaceFigures {
  name: string
  help: string
  label: string
  values(): Iterable<[string, number]>
}

export interface FaceParts {
  log: World['log']
  status(): unknown
  /** Why it cannot go on without loss or standstill; undefined if it can. */
  unready(): string | undefined
  figures: (FaceFigure | FaceFigures)[]
  /** Further paths. */
  routes?(server: FastifyInstance): void
}

/** Its address is `host:port` as bound. */
export type RunningFace = LatePort

/** Rejects if the port cannot be had. */
export function startProcessFace(config: FaceConfig, parts: FaceParts): Promise<RunningFace> {
  const load = async () => (await import('./process-app.ts')).processApp(config, parts)
  return openLatePort(config, load, error =>
    parts.log.error('the HTTP port cannot answer: asked again, it tries again', { error }),
  )
}
