export async function gatherLedger(_parts: unknown): Promise<unknown> {
  return {}
}
