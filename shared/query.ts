// placeholder types until the parser lands
export interface Query {
  text: string
  matches(event: { bytes: Buffer; host: string; app: string; level: string; path: string }): boolean
}
