import type http from 'node:http'
import { expect, test } from 'vitest'
import { statusOf, TOKEN } from '../support.ts'
import { gone, NO_HISTORY, open, openRow, press, startPage, texts, until } from './support.ts'

const RICH = { '/api/history': NO_HISTORY, '/api/setup': {} }
const NAME = '"spare" & co'
const ABOUT = Object.fromEntries(
  ['web-1', 'web-2', NAME].map((id) => [`/api/backends/${encodeURIComponent(id)}`, { checks: [], transitions: [] }]),
)

function backends() {
  return [
    statusOf('web-1', { connections: 12, total: 340 }),
    statusOf('web-2', { weight: 3, effectiveWeight: 3, configuredWeight: 3 }),
    statusOf(NAME, { draining: true, drainingSince: Date.now(), pool: 'other' }),
  ]
}

test('each action says what it will do, and then what it did', async (context) => {
  const { url, balancer } = await startPage({ ...RICH, ...ABOUT }, backends())
  const { page, watch } = await open(context, `${url}#token=${encodeURIComponent(TOKEN)}`)
  await openRow(page, 'web-1')
  expect(page.url()).not.toContain('token')

  await press(page, 'toggle')
  await until(page, '#confirm', 'Drain web-1?')
  expect(await texts(page, '#confirm-text')).toEqual([
    'It takes no new clients. Its 12 open connections stay, and clients with its cookie keep coming. ' +
      'New clients go to the other backend of its pool.',
  ])
  expect(await texts(page, '#confirm-warning')).toEqual([''])
  await page.keyboard.press('Enter') // Cancel has the focus
  await gone(page, '#confirm')
  expect(balancer.calls).toEqual([])
  // The focus is back where it was.
  await page.waitForFunction("document.activeElement.dataset.part === 'toggle'")
  await page.keyboard.press('Enter')
  await page.click('#confirm-ok')
  await until(page, '#toasts', 'web-1 is draining: it keeps its clients and takes no new ones')
  await until(page, '.row [data-part=state]', 'draining')
  await until(page, '.details [data-part=toggle]', 'Bring back')

  await press(page, 'reset')
  await until(page, '#confirm', 'Reset 12 open connections of web-1?')
  expect(await texts(page, '#confirm-ok')).toEqual(['Reset 12 connections'])
  await page.click('#confirm-ok')
  await until(page, '#toasts', '12 connections of web-1 were reset')
  // Nothing is left to reset.
  await page.waitForFunction("document.querySelector('.details [data-part=reset]').disabled")
  await press(page, 'toggle')
  await until(page, '#confirm', 'It takes new clients again.')
  await page.click('#confirm-ok')
  await until(page, '#toasts', 'web-1 is back')

  await openRow(page, 'web-2')
  Object.assign(balancer.statuses[0]!, { state: 'down' })
  await until(page, '.row [data-part=state]', 'down')
  await press(page, 'toggle')
  await until(page, '#confirm-warning', 'No other backend of its pool takes new clients now.')
  await page.keyboard.press('Escape')
  await gone(page, '#confirm')
  await openRow(page, NAME)
  await press(page, 'toggle')
  await page.click('#confirm-ok')
  await until(page, '#toasts', `${NAME} is back`)
  expect(balancer.calls).toEqual(['drain web-1', 'kill web-1', 'ready web-1', `ready ${NAME}`])
  expect(watch.errors).toEqual([])
})

test('a weight is changed after a look at what it means, and taken back', async (context) => {
  const statuses = backends()
  const bodies: string[] = []
  const weight = (request: http.IncomingMessage) => {
    request.on('data', (chunk) => bodies.push(`${request.headers.authorization} ${chunk}`))
    const [, web2] = statuses
    request.on('end', () => {
      const { weight } = JSON.parse(bodies.at(-1)!.replace(/^.* /, ''))
      Object.assign(web2!, { weight: weight ?? 3, effectiveWeight: weight ?? 3, configuredWeight: 3 })
    })
    return {}
  }
  const { url } = await startPage({ ...RICH, '/api/backends/web-2/weight': weight }, statuses)
  const { page } = await open(context, `${url}#token=${encodeURIComponent(TOKEN)}`)
  await openRow(page, 'web-2')
  await press(page, 'reweigh')
  await until(page, '#ask-weight', 'Weight of web-2')
  expect(await page.$eval('#weight-reset', (button) => button.checkVisibility())).toBe(false)
  const choose = async (value: string) => {
    await page.$eval('#weight', (input) => Object.assign(input, { value: '' }))
    await page.type('#weight', value)
    return (await texts(page, '#weight-share'))[0]
  }
  expect(await choose('1')).toContain('about 75 % now, 50 % then')
  expect(await choose('0')).toContain('only those that return')
  expect(await choose('70000')).toBe('')
  await page.keyboard.press('Enter')
  expect(await page.$eval('#ask-weight', (dialog) => dialog.matches('[open]'))).toBe(true)
  await choose('9')
  await page.keyboard.press('Enter')
  await until(page, '#toasts', 'web-2 has the weight 9 now')
  await until(page, '.details dd', '9 · config: 3')
  await press(page, 'reweigh')
  await page.click('#weight-reset')
  await until(page, '#toasts', 'web-2 has the weight of the config again: 3')
  await press(page, 'reweigh')
  await page.keyboard.press('Escape')
  await gone(page, '#ask-weight')
  expect(bodies).toEqual([`Bearer ${TOKEN} {"weight":9}`, `Bearer ${TOKEN} {"weight":null}`])
})

test('a dialog that opens again at once waits for an answer of its own', async (context) => {
  const { url, balancer } = await startPage({ ...RICH, ...ABOUT }, backends())
  const { page } = await open(context, `${url}#token=${encodeURIComponent(TOKEN)}`)
  await openRow(page, 'web-1')
  // The event of the first close comes after the second opening.
  await page.evaluate(`{
    const toggle = document.querySelector('.details [data-part=toggle]')
    toggle.click()
    document.querySelector('#confirm [value=cancel]').click()
    toggle.click()
  }`)
  await page.click('#confirm-ok')
  await until(page, '#toasts', 'web-1 is draining')
  expect(balancer.calls).toEqual(['drain web-1'])
})

test('an action asks for a missing token, and reports a wrong one', async (context) => {
  const { url, balancer } = await startPage({ ...RICH, ...ABOUT }, backends())
  const { page, watch } = await open(context, url)
  await openRow(page, 'web-1')
  const drain = async () => {
    await press(page, 'toggle')
    await page.click('#confirm-ok')
    await page.waitForSelector('#ask-token[open]')
  }
  await drain()
  await page.type('#token', 'guess')
  await page.keyboard.press('Enter')
  await until(page, '#token-error', 'That token is wrong.')
  await page.type('#token', 'no field can carry €')
  await page.keyboard.press('Enter')
  await page.waitForFunction(
    "document.querySelector('#ask-token').open && document.querySelector('#token').value === ''",
  )
  await page.keyboard.press('Escape')
  await gone(page, '#ask-token')
  expect(balancer.calls).toEqual([])
  await drain()
  await page.type('#token', TOKEN)
  await page.keyboard.press('Enter')
  await until(page, '#toasts', 'web-1 is draining')
  expect(balancer.calls).toEqual(['drain web-1'])
  // Chromium itself logs the answer to the wrong token.
  expect(watch.errors).toEqual([expect.stringContaining('401 (Unauthorized)')])
})

test('two actions may ask for the token at once', async (context) => {
  const { url } = await startPage({ ...RICH, ...ABOUT }, backends())
  const { page, watch } = await open(context, url)
  await page.evaluate(`void import('/static/token.js').then(async ({ askToken }) => {
    const both = [askToken(), askToken('That token is wrong.')]
    document.body.dataset.answers = JSON.stringify(await Promise.all(both))
  })`)
  await until(page, '#token-error', 'That token is wrong.')
  await page.type('#token', TOKEN)
  await page.keyboard.press('Enter')
  await page.waitForFunction("document.body.dataset.answers === '[true,true]'")
  expect(watch.errors).toEqual([])
})

/** The name of what has the focus, if that can be seen. */
const FOCUSED = `(() => {
  const element = document.activeElement
  const isSeen = element !== document.body && getComputedStyle(element).outlineStyle !== 'none'
  const name = element.closest('[data-sort]')?.dataset.sort ?? element.dataset.part ?? (element.id || element.textContent)
  return isSeen ? name.trim() : ''
})()`

test('the keyboard reaches everything, and stays in an open dialog', async (context) => {
  const { url } = await startPage(RICH, backends())
  const { page } = await open(context, `${url}#open=web-1`)
  await page.waitForSelector('.details')
  const reached = new Set<string>()
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press('Tab')
    reached.add(String(await page.evaluate(FOCUSED)))
  }
  for (const name of [
    'Requests',
    'scope',
    'grouped',
    'filter',
    'p99',
    'toggle',
    'reweigh',
    'reset',
    'choose',
    'requests',
  ]) {
    expect([...reached]).toContain(name)
  }
  await press(page, 'reset')
  await page.waitForSelector('#confirm[open]')
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press('Tab')
    expect(['', 'confirm']).toContain(await page.evaluate("document.activeElement.closest('dialog')?.id ?? ''"))
  }
})
