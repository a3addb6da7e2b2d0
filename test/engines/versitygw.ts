// The Versity S3 Gateway over a local folder: a second implementation of S3's protocol, independent of S3Proxy.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from '../ports.test-support.ts'
import { builtOnce } from './cache.ts'
import { EngineProcess, temporaryFolder } from './engine-process.ts'
import type { S3Engine } from './s3-engine.ts'
import { goInstall, unlessToolMissing } from './tools.ts'

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
const ACCESS_KEY_ID = 'bucktail'
const SECRET_ACCESS_KEY = 'bucktail-test'
const REGION = 'us-east-1'

/** Undefined, after one loud line, where there is no Go. In CI that is a failure. The first build takes minutes. */
export async function startVersityGateway(t: Test, more: string[] = []): Promise<S3Engine | undefined> {
  return unlessToolMissing(t, 'the Versity gateway', async () => {
    const bin = await builtOnce('versitygw', [MODULE], folder => goInstall(MODULE, folder))
    const dataFolder = join(await temporaryFolder(t, 'versitygw'), 'data')
    await mkdir(dataFolder)
    const port = await freePort()
    const endpoint = `http://127.0.0.1:${port}`
    const process = new EngineProcess(t, {
      name: 'the Versity gateway',
      file: join(bin, 'versitygw'),
      args: ['--port', `127.0.0.1:${port}`, '--region', REGION, ...more, 'posix', dataFolder],
      env: { ROOT_ACCESS_KEY: ACCESS_KEY_ID, ROOT_SECRET_KEY: SECRET_ACCESS_KEY },
      isUp: async () => (await fetch(endpoint)).status < 500,
    })
    await process.start()
    return {
      endpoint,
      region: REGION,
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: SECRET_ACCESS_KEY,
      dataFolder,
      kill: () => process.kill(),
      start: () => process.start(),
      pause: () => process.pause(),
      resume: () => process.resume(),
    }
  })
}
