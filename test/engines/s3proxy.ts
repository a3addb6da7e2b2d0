// S3Proxy, a real server with S3's protocol over a local folder.
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../ports.test-support.ts'
import { builtOnce } from './cache.ts'
import { EngineProcess, JAVA_ARGS, temporaryFolder } from './engine-process.ts'
import type { S3Engine } from './s3-engine.ts'
import { copyDependencies, findJdk, unlessToolMissing } from './tools.ts'

const JDK_VERSION_MIN = 17
const HEAP_MIB_MAX = 512
const POM = fileURLToPath(new URL('s3proxy-pom.xml', import.meta.url))
const ACCESS_KEY_ID = 'bucktail'
const SECRET_ACCESS_KEY = 'bucktail-test'

/** Undefined, after one loud line, where there is no JDK or Maven. In CI that is a failure. */
export async function startS3Proxy(t: Test, more: Record<string, string> = {}): Promise<S3Engine | undefined> {
  return unlessToolMissing(t, 'S3Proxy', async () => {
    const jdk = findJdk(JDK_VERSION_MIN)
    const lib = await builtOnce('s3proxy', [await readFile(POM, 'utf8')], async folder => {
      const pom = join(folder, 'pom.xml')
      await copyFile(POM, pom)
      await copyDependencies(pom, folder)
      await rm(pom)
    })
    const folder = await temporaryFolder(t, 's3proxy')
    const dataFolder = join(folder, 'data')
    await mkdir(dataFolder)
    const endpoint = `http://127.0.0.1:${await freePort()}`
    const properties = {
      's3proxy.endpoint': endpoint,
      's3proxy.authorization': 'aws-v4',
      's3proxy.identity': ACCESS_KEY_ID,
      's3proxy.credential': SECRET_ACCESS_KEY,
      'jclouds.provider': 'filesystem-nio2',
      'jclouds.filesystem.basedir': dataFolder,
      ...more,
    }
    const settings = join(folder, 's3proxy.properties')
    await writeFile(
      settings,
      Object.entries(properties)
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    )
    const process = new EngineProcess(t, {
      name: 'S3Proxy',
      folder,
      file: join(jdk, 'bin', 'java'),
      args: [
        `-Xmx${HEAP_MIB_MAX}m`,
        '-XX:+UseSerialGC',
        ...JAVA_ARGS,
        `-Djava.io.tmpdir=${folder}`,
        '-cp',
        join(lib, '*'),
        'org.gaul.s3proxy.Main',
        '--properties',
        settings,
      ],
      // Any answer: without a signature it is 403.
      isUp: async () => (await fetch(endpoint)).status < 500,
    })
    await process.start()
    return {
      endpoint,
      region: 'us-east-1',
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
