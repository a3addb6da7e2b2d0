// One real Elasticsearch node on loopback, from the libraries on Maven Central. What this core has and lacks beside a full
// distribution is listed in docs/elasticsearch.md.
//
//   cache/elasticsearch-HASH/   lib/*.jar                        the module path
//                               classes/OneNode.class            the program that starts the node
//                               home/modules/transport-netty4/   jars, plugin-descriptor.properties, entitlement-policy.yaml
//                               home/config, home/plugins        empty
import { copyFile, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../ports.test-support.ts'
import { builtOnce } from './cache.ts'
import { EngineProcess, JAVA_ARGS, quickPlace, temporaryFolder } from './engine-process.ts'
import { copyDependencies, findJdk, run, unlessToolMissing } from './tools.ts'

const JDK_VERSION_MIN = 21
const HEAP_MIB = 1024
/** Gigabytes do not belong into memory. */
const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
const HTTP_MODULE = 'transport-netty4'
const POM = fileURLToPath(new URL('elasticsearch-pom.xml', import.meta.url))
const PROGRAM = fileURLToPath(new URL('OneNode.java', import.meta.url))

export interface Elasticsearch {
  url: string
  /** All it keeps; may be copied or put back while it is killed. */
  dataFolder: string
  kill(): Promise<void>
  /** On the same folder and port. */
  start(): Promise<void>
  pause(): void
  resume(): void
}

/** Undefined, after one loud line, where there is no JDK or Maven. In CI that is a failure. */
export async function startElasticsearch(
  t: Test,
  settings: Record<string, string> = {},
  heapMiB = HEAP_MIB,
): Promise<Elasticsearch | undefined> {
  return unlessToolMissing(t, 'Elasticsearch', async () => {
    const jdk = findJdk(JDK_VERSION_MIN)
    const place = await build(jdk)
    const folder = await temporaryFolder(t, 'elasticsearch', IS_LONG ? undefined : quickPlace())
    const dataFolder = join(folder, 'data')
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const all = {
      'path.data': dataFolder,
      'path.logs': join(folder, 'logs'),
      'http.port': String(port),
      'transport.port': String(await freePort()),
      'network.host': '127.0.0.1',
      'discovery.type': 'single-node',
      'cluster.name': 'bucktail-test',
      'node.name': 'test',
      ...settings,
    }
    const process = new EngineProcess(t, {
      name: 'Elasticsearch',
      folder,
      file: join(jdk, 'bin', 'java'),
      args: [
        `-Xmx${heapMiB}m`,
        '-XX:+UseSerialGC',
        ...(heapMiB === HEAP_MIB ? JAVA_ARGS : []),
        `-Djava.io.tmpdir=${folder}`,
        '--module-path',
        join(place, 'lib'),
        '--add-modules',
        'ALL-MODULE-PATH,jdk.incubator.vector',
        '--enable-native-access=ALL-UNNAMED',
        '-cp',
        join(place, 'classes'),
        'OneNode',
        join(place, 'home'),
        ...Object.entries(all).map(([key, value]) => `${key}=${value}`),
      ],
      isUp: async () => {
        // Yellow: after a restart all shards are open again, not only the port.
        const health = await fetch(`${url}/_cluster/health?wait_for_status=yellow&timeout=1s`)
        return health.ok && !((await health.json()) as { timed_out: boolean }).timed_out
      },
    })
    await process.start()
    return {
      url,
      dataFolder,
      kill: () => process.kill(),
      start: () => process.start(),
      pause: () => process.pause(),
      resume: () => process.resume(),
    }
  })
}

async function build(jdk: string): Promise<string> {
  const recipe = [await readFile(POM, 'utf8'), await readFile(PROGRAM, 'utf8'), jdk]
  return builtOnce('elasticsearch', recipe, async folder => {
    const lib = join(folder, 'lib')
    const home = join(folder, 'home')
    const httpModule = join(home, 'modules', HTTP_MODULE)
    await Promise.all(
      [lib, httpModule, join(home, 'config'), join(home, 'plugins')].map(path => mkdir(path, { recursive: true })),
    )
    const pom = join(folder, 'pom.xml')
    await copyFile(POM, pom)
    await copyDependencies(pom, lib)
    for (const name of await readdir(lib)) {
      if (!name.startsWith('netty-') && !name.startsWith(HTTP_MODULE)) continue
      const jar = join(httpModule, name)
      await rename(join(lib, name), jar)
      if (name.startsWith(HTTP_MODULE)) await unpackDescriptor(jdk, jar, httpModule)
    }
    const compile = ['--module-path', lib, '--add-modules', 'ALL-MODULE-PATH', '-d', join(folder, 'classes'), PROGRAM]
    await run(join(jdk, 'bin', 'javac'), compile)
  })
}

/** The two files that a distribution has beside the jars of a module lie within the jar on Maven Central. */
async function unpackDescriptor(jdk: string, jar: string, into: string): Promise<void> {
  const inner = join('META-INF', 'es-plugins', HTTP_MODULE)
  await run('/bin/sh', [
    '-c',
    'cd "$1" && "$2" --extract --file "$3" "$4"',
    'sh',
    into,
    join(jdk, 'bin', 'jar'),
    jar,
    inner,
  ])
  for (const name of ['plugin-descriptor.properties', 'entitlement-policy.yaml']) {
    await rename(join(into, inner, name), join(into, name))
  }
  await rm(join(into, 'META-INF'), { recursive: true })
}
