import type { Run } from '../events.ts'
import { type Packet, packetBody } from '../packet.ts'
import { openSearchedBlock, type SearchedBlock } from './searched-block.ts'

/** A packet's body is a block like those of segments. Throws CorruptBlockError. */
export function openPacketBlock(packet: Packet): SearchedBlock<Run> {
  return openSearchedBlock(packet.header.kind, packetBody(packet), packet.runs, packet.names)
}
