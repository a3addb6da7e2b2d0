// Where a thread begins. What it runs is imported later, so that it is taken from the compile cache.
import { enableCompileCache } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'

enableCompileCache?.()
const { serveSearches } = await import('./serve-searches.ts')
serveSearches(parentPort!, workerData.inflatedBytesMax)
