import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { readExample } from '../../scripts/docs.js'
import { Command } from '../cli/command.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

// Runs each command line of examples/operations with --check, and compares the numbers around it with its options.

/** Checks a command line, with the files that it names in a temporary directory. Returns what would run. */
async function check(args: readonly string[]): Promise<string> {
  const directory = temporaryDirectory()
  writeFileSync(join(directory, 'badass.json'), readExample('config/badass.json'))
  for (const name of ['secrets', 'sticky']) writeFileSync(join(directory, name), 'change me\n')
  const moved = args.map((one) => one.replace(/\/(?:etc\/badass|run\/secrets)\//, `${directory}/`))
  const command = Command.start('--check', ...moved)
  expect([await command.exited, command.stderr]).toEqual([0, ''])
  return command.stdout
}

/** Seconds of an option such as `--grace=30s`. */
function secondsOf(args: readonly string[], option: string): number {
  const value = args.find((one) => one.startsWith(`${option}=`))
  return Number(/=(\d+)s$/.exec(value ?? '')?.[1])
}

describe('systemd units', () => {
  const units = ['badass.service', 'badass@.service'].map((name) => [name, readExample(`operations/${name}`)] as const)

  test.each(units)('%s starts a command that is right', async (_, unit) => {
    const lines = [...unit.matchAll(/^Exec\w+=\/usr\/bin\/badass (.*)$/gm)].map(([, line]) => line!.replace('%i', '1'))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(await check(line.split(' '))).toContain('\nbackends: blue, green, ')
  })

  test.each(units)('%s gives the drain more time than the config', (_, unit) => {
    const { grace } = JSON.parse(readExample('config/badass.json')) as { grace: string }
    expect(Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)![1])).toBeGreaterThan(Number.parseInt(grace, 10))
  })

  test('badass.socket passes the socket on which badass@.service listens', () => {
    const socket = readExample('operations/badass.socket')
    const [, name] = /^FileDescriptorName=(\w+)$/m.exec(socket)!
    const [[, unit]] = units.slice(1) as [(typeof units)[number]]
    expect(unit).toContain(`--listen fd:${name} `)
    expect(unit).toContain('\nSockets=badass.socket\n')
    expect(socket).toContain('\nService=badass@1.service\n')
  })
})

test('the command of the Dockerfile is right', async () => {
  const docker = readExample('operations/Dockerfile')
  const args = JSON.parse(/^CMD (.*)$/m.exec(docker)![1]!) as string[]
  expect(JSON.parse(/^ENTRYPOINT (.*)$/m.exec(docker)![1]!)).toEqual(['badass'])
  expect(await check(args)).toContain(`listen: *:${/^EXPOSE (\d+)$/m.exec(docker)![1]}\n`)
})

test('the command of the compose file is right, and has time to drain', async () => {
  const { services, secrets } = parse(readExample('operations/compose.yaml'))
  const { command, ports, secrets: used, stop_grace_period: time } = services.badass
  const text = await check(command)
  expect(text).toContain('listen: *:8080\nbackends: dns:app:3000\n')
  expect(text).toContain('admin: 0.0.0.0:9000\n')
  expect(ports.map((port: string) => port.split(':').at(-1))).toEqual(['8080', '9000'])
  expect(Object.keys(secrets)).toEqual(used)
  expect(command).toContain(`--secret-file=/run/secrets/${used[0]}`)
  expect(services).toHaveProperty('app')
  expect(Number.parseInt(time, 10)).toBeGreaterThan(30)
})

test('the manifests of Kubernetes fit together', async () => {
  const documents = parseAllDocuments(readExample('operations/kubernetes.yaml')).map((one) => one.toJS())
  expect(documents.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
    'Service app',
    'Secret badass',
    'Service badass',
    'Deployment badass',
  ])
  const [app, secret, service, { spec }] = documents
  const { labels } = spec.template.metadata
  expect([spec.selector.matchLabels, service.spec.selector]).toEqual([labels, labels])
  const { containers, terminationGracePeriodSeconds: time, volumes } = spec.template.spec
  const [{ args, ports, readinessProbe, livenessProbe, volumeMounts }] = containers
  const text = await check(args)
  expect(text).toContain(`listen: *:${service.spec.ports[0].targetPort}\n`)
  expect(text).toContain(`backends: dns:${app.metadata.name}.default.svc.cluster.local:${app.spec.ports[0].port}\n`)
  expect(app.spec.clusterIP).toBe('None')
  const { port } = readinessProbe.httpGet
  expect(text).toContain(`admin: 0.0.0.0:${port}\n`)
  expect(livenessProbe.tcpSocket.port).toBe(port)
  expect(ports.map((one: { containerPort: number }) => one.containerPort)).toContain(port)
  expect(args).toContain(`--secret-file=${volumeMounts[0].mountPath}/${Object.keys(secret.stringData)[0]}`)
  expect(volumes[0].secret.secretName).toBe(secret.metadata.name)
  expect(time).toBeGreaterThan(secondsOf(args, '--shutdown-delay') + secondsOf(args, '--grace'))
})
