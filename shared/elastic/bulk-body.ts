// The body of one bulk request: documents of one index, made as bytes, and what their sender wants to know of each.
//
//   { "create": { "_id": "…" } } \n { …the document… } \n     for each, end to end; the index is in the request's path
import { ByteText } from './byte-text.ts'
import type { DocumentMaker, EventDocument } from './document.ts'

/** Elasticsearch's advice is 5 to 15 MB; two or three of these at once are that. */
const BODY_BYTES = 4 * 1024 * 1024
/** Most last documents fit without a larger buffer. */
const SLACK_BYTES = 256 * 1024
const ACTION = Buffer.from('{"create":{"_id":"')
const ACTION_END = Buffer.from('"}}\n')
const LINE_END = Buffer.from('\n')

export interface BulkDocument {
  /** Write alias of the index. */
  target: string
  id: string
  json: string
}

export class BulkBody<D> {
  readonly target: string
  /** Of the sender, who finds it in the outcome. */
  readonly documents: D[] = []
  readonly text: ByteText
  readonly #ends: number[] = []

  /** @param text  empty; what was in it before has been sent */
  constructor(target: string, text = new ByteText(BODY_BYTES + SLACK_BYTES)) {
    this.target = target
    this.text = text
    text.length = 0
  }

  get bytes(): Buffer {
    return this.text.bytes()
  }

  get isFull(): boolean {
    return this.text.length >= BODY_BYTES
  }

  /** Then the id is written, `beginDocument`, the document, `end`. */
  begin(): void {
    this.text.append(ACTION)
  }

  beginDocument(): void {
    this.text.append(ACTION_END)
  }

  /** One event, written straight into the body. */
  putEvent(maker: DocumentMaker, event: EventDocument, document: D): void {
    this.begin()
    maker.writeId(this.text, event)
    this.beginDocument()
    maker.write(this.text, event)
    this.end(document)
  }

  end(document: D): void {
    this.text.append(LINE_END)
    this.#ends.push(this.text.length)
    this.documents.push(document)
  }

  /** Some of them once more. */
  part(numbers: number[]): BulkBody<D> {
    const sizes = numbers.map(number => this.#ends[number] - this.#startOf(number))
    const part = new BulkBody<D>(this.target, new ByteText(sizes.reduce((sum, size) => sum + size, 0)))
    for (const number of numbers) {
      part.text.append(this.text.bytes(this.#startOf(number), this.#ends[number]))
      part.#ends.push(part.text.length)
      part.documents.push(this.documents[number])
    }
    return part
  }

  read(number: number): BulkDocument {
    const [action, json] = this.text.bytes(this.#startOf(number), this.#ends[number]).toString('utf8').split('\n')
    return { target: this.target, id: JSON.parse(action).create._id, json }
  }

  #startOf(number: number): number {
    return number === 0 ? 0 : this.#ends[number - 1]
  }
}

/** For documents that are few, or made already. */
export function* bodiesOf<D extends BulkDocument>(documents: Iterable<D>): Generator<BulkBody<D>> {
  let body: BulkBody<D> | undefined
  for (const document of documents) {
    if (body && (body.isFull || body.target !== document.target)) {
      yield body
      body = undefined
    }
    body ??= new BulkBody(document.target, new ByteText(SLACK_BYTES))
    body.begin()
    body.text.utf8(JSON.stringify(document.id).slice(1, -1))
    body.beginDocument()
    body.text.utf8(document.json)
    body.end(document)
  }
  if (body) yield body
}
