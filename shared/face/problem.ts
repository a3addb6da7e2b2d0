// Errors of HTTP as RFC 9457 problem details: what is wrong, where, and what to do next. One shape on every port.
import type { FastifyInstance, FastifyReply } from 'fastify'

export interface ProblemDetails {
  type: string
  title: string
  status: number
  detail: string
  /** What to do next. */
  hint?: string
  /** Where in the query (characters from its start), for bad queries. */
  position?: number
}

/** Thrown in a route to answer with a problem. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  readonly status: number
  readonly title: string
  readonly hint: string | undefined
  readonly position: number | undefined
  constructor(status: number, title: string, detail: string, more: { hint?: string; position?: number } = {}) {
    super(detail)
    this.status = status
    this.title = title
    this.hint = more.hint
    this.position = more.position
  }
}

export function problemOf(error: unknown): ProblemDetails {
  if (error instanceof HttpProblem) {
    const { status, title, message: detail, hint, position } = error
    return {
      type: 'about:blank',
      title,
      status,
      detail,
      ...(hint && { hint }),
      ...(position !== undefined && { position }),
    }
  }
  const { statusCode, message, validation } = error as { statusCode?: number; message?: string; validation?: unknown }
  if (validation) {
    return {
      type: 'about:blank',
      title: 'Bad request',
      status: 400,
      detail: message ?? 'a parameter is wrong',
      hint: 'See /openapi.json for the parameters and their values.',
    }
  }
  // Fastify's own refusals (bad URL, body too large) carry a code under 500; all else is a fault of ours.
  const status = statusCode !== undefined && statusCode >= 400 && statusCode < 500 ? statusCode : 500
  return {
    type: 'about:blank',
    title: status === 500 ? 'Internal error' : 'Bad request',
    status,
    detail: message ?? 'unknown error',
    ...(status === 500 && { hint: 'This is a fault of the server: its log has the details. Try again.' }),
  }
}

export function sendProblem(reply: FastifyReply, problem: ProblemDetails): FastifyReply {
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}

/** Every error and every unknown path of this server becomes a problem. */
export function answerWithProblems(app: FastifyInstance, onFault: (error: unknown, url: string) => void): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error)
    if (problem.status >= 500 && !(error instanceof HttpProblem)) onFault(error, request.url)
    return sendProblem(reply, problem)
  })
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, {
      type: 'about:blank',
      title: 'Not found',
      status: 404,
      detail: `There is no ${request.method} ${request.url.split('?')[0].slice(0, 200)} here.`,
      hint: 'docs/rest.md lists the paths.',
    }),
  )
}
