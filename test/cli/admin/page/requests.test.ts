import type http from 'node:http'
import { expect, test } from 'vitest'
import { statusOf, TOKEN } from '../support.ts'
import { NO_HISTORY, open, openRow, seen, startPage, texts, until } from './support.ts'

const EVIL = '/<script>alert(1)</script>'
const NOTHING = { '/api/history': NO_HISTORY }
const ABOUT = { '/api/backends/web': {}, '/api/backends/api%2F1': {} }
const at = Date.now()

const REQUESTS = {
  failed: [
    { at, client: '10.0.0.7:50001', method: 'GET', path: EVIL, status: 502, pool: 'api', backend: '1', total: 12.5 },
    {
      at,
      client: '10.0.0.7:50002',
      method: 'POST',
      path: '/pay',
      code: 'BACKEND_SILENT',
      pool: 'api',
      backend: '1',
      total: 30_000,
    },
    { at, client: '10.0.0.9', method: 'GET', path: '/', status: 503, pool: 'api', total: 1 },
  ],
  slowest: [
    {
      at,
      client: '10.0.0.8',
      method: 'GET',
      path: '/report',
      status: 200,
      pool: 'default',
      backend: 'web',
      connect: 2,
      firstByte: 1_500,
      total: 2_500,
    },
  ],
}

function answer({ headers }: http.IncomingMessage): object | number {
  return headers.authorization === `Bearer ${TOKEN}` ? REQUESTS : 401
}

test('slow and failing requests are shown with the token, which is asked for only there', async (context) => {
  const backends = [statusOf('web'), statusOf('api/1', { pool: 'api' })]
  const { url, asked } = await startPage({ ...NOTHING, ...ABOUT, '/api/setup': {}, '/api/requests': answer }, backends)
  const { page, watch } = await open(context, url)
  await openRow(page, 'api/1')
  expect(await page.$('dialog[open]')).toBeNull()
  expect(asked.filter((one) => one.includes('/api/requests'))).toEqual([])
  await page.click('.details [data-part=requests]')
  await page.waitForSelector('#ask-token[open]')
  await page.keyboard.press('Escape')
  await until(page, '#requests-note', 'so they need the token')
  await page.click('#give-token')
  await page.type('#token', 'wrong')
  await page.keyboard.press('Enter')
  await until(page, '#token-error', 'That token is wrong.')
  await page.type('#token', TOKEN)
  await page.keyboard.press('Enter')
  // It comes with the filter of the backend that it was opened from.
  await until(page, '#requests', EVIL)
  expect(await seen(page, '#request-kinds button')).toEqual(['2 failed', '0 slowest'])
  expect(await texts(page, '#requests tbody tr:first-child td')).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d$/),
    '10.0.0.7:50001',
    `GET ${EVIL}`,
    '502',
    'api',
    'api/1',
    '13\u202fms',
    '',
  ])
  expect(await texts(page, '#common button')).toEqual(['backend api/1 2', 'client 10.0.0.7 2'])
  await page.$eval('#requests-filter', (input) => Object.assign(input, { value: '' }).dispatchEvent(new Event('input')))
  expect(await seen(page, '#request-kinds button')).toEqual(['3 failed', '1 slowest'])
  await page.click('#request-kinds [data-kind=slowest]')
  expect(await texts(page, '#requests tbody td')).toEqual([
    expect.any(String),
    '10.0.0.8',
    'GET /report',
    '200',
    'default',
    'web',
    '2.0\u202fms',
    '1.50\u202fs',
    '2.50\u202fs',
    '',
  ])
  await page.setViewport({ width: 375, height: 800 })
  const heights = await page.$$eval('#requests td', (cells) => cells.map((cell) => cell.getBoundingClientRect().height))
  expect(Math.max(...heights)).toBeLessThan(30)
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(375)
  await page.click('#requests .link')
  await page.waitForSelector('.panel[aria-label="Details of web"]')
  expect(await page.$$('main script')).toHaveLength(0)
  // Chromium itself logs the answers without the token.
  expect(watch.errors.filter((error) => !error.includes('401 (Unauthorized)'))).toEqual([])
})

test('a line says how to switch on the list of requests', async (context) => {
  const { url, asked } = await startPage({ ...NOTHING, '/api/setup': { recentRequests: false } })
  const { page } = await open(context, `${url}#view=requests`)
  await until(page, '#requests-note', 'Start badass with --admin-requests')
  expect(asked.filter((one) => one.includes('/api/requests'))).toEqual([])
  expect(await page.$('dialog[open]')).toBeNull()
})

test('routes, pools, listeners and certificates are shown, and expiry is told in time', async (context) => {
  const day = 86_400_000
  const certificate = { use: 'listener', issuer: 'CA', notBefore: 0 }
  const setup = {
    pools: [
      { name: 'default', algorithm: 'round-robin', backends: 1, options: {} },
      {
        name: 'api',
        algorithm: 'hash',
        key: 'client',
        health: '/healthz, every 2s',
        backends: 3,
        options: { retries: '2' },
      },
    ],
    routes: [
      { host: 'api.example.com', path: EVIL, methods: ['GET', 'HEAD'], pool: 'api', stripPrefix: true },
      { path: '/old', redirect: 'https://{host}/new' },
      { respond: 404 },
    ],
    listeners: [{ url: 'https://0.0.0.0:443/', tls: true, alpn: ['http/1.1'], proxyProtocol: false }],
    certificates: [
      { ...certificate, file: 'fine.pem', names: ['fine.example'], notAfter: Date.now() + 90.5 * day },
      { ...certificate, file: 'soon.pem', names: ['soon.example', 'www'], notAfter: Date.now() + 9.5 * day },
      { ...certificate, file: 'gone.pem', names: ['gone.example'], notAfter: Date.now() - 2.5 * day },
      { use: 'backend-ca', file: 'bad.pem', names: [], notBefore: null, notAfter: null, error: 'no such file' },
    ],
  }
  const { url } = await startPage({ ...NOTHING, '/api/setup': setup })
  const { page, watch } = await open(context, url)
  await until(page, '#problems', 'certificate')
  const plain = (list: string[]) => list.map((text) => text.replaceAll('\u202f', ' '))
  expect(plain(await texts(page, '#problems li'))).toEqual([
    'certificategone.exampleexpired 2 d 12 h ago',
    'certificatebad.pemunknown · no such file',
    'certificatesoon.examplein 9 d 11 h',
  ])
  await page.click('#problems button')
  await until(page, '#certificates', 'gone.example')
  expect(page.url()).toContain('view=setup')
  expect(await page.$$eval('#certificates .badge', (all) => all.map((one) => one.getAttribute('data-state')))).toEqual([
    'plain',
    'draining',
    'down',
    'down',
    'down',
  ])
  expect(await texts(page, '#routes tbody tr')).toEqual([
    `1api.example.com${EVIL}GET, HEADapistripPrefix: yes`,
    '2any/old–redirect to https://{host}/new–',
    '3anyany–answer 404–',
  ])
  expect(await texts(page, '#pools tbody tr')).toEqual([
    'default1round-robin––',
    'api3hash by client/healthz, every 2s2',
  ])
  expect(await texts(page, '#listeners td')).toEqual(['https://0.0.0.0:443/', 'yes · http/1.1', 'no'])
  expect(watch.errors).toEqual([])
})
