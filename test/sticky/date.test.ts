import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCookieDate } from '../../src/sticky/set-cookie.ts'

const at = (text: string) => Date.parse(text)

describe('the date of a cookie (RFC 6265 5.1.1)', () => {
  it.each([
    ['IMF-fixdate', 'Sun, 06 Nov 1994 08:49:37 GMT', '1994-11-06T08:49:37Z'],
    ['RFC 850', 'Sunday, 06-Nov-94 08:49:37 GMT', '1994-11-06T08:49:37Z'],
    ['asctime, which is UTC', 'Sun Nov  6 08:49:37 1994', '1994-11-06T08:49:37Z'],
    ['hyphens and four digits', 'Sun, 06-Nov-1994 08:49:37 GMT', '1994-11-06T08:49:37Z'],
    ['without the day of the week', '6 Nov 1994 8:49:37', '1994-11-06T08:49:37Z'],
    ['any order', '1994 November 08:49:37 6th', '1994-11-06T08:49:37Z'],
    ['another order', '08:49:37 november 6th 94', '1994-11-06T08:49:37Z'],
    ['a year of two digits before the day, which reads as the day', '94 Nov 08:49:37 06', undefined],
    ['one digit each', '1 jan 2000 1:2:3', '2000-01-01T01:02:03Z'],
    ['any case', 'SUN, 06 nOV 1994 08:49:37 gmt', '1994-11-06T08:49:37Z'],
    ['a time zone, which is ignored', 'Sun, 06 Nov 1994 08:49:37 -0800', '1994-11-06T08:49:37Z'],
    ['tails after each part', '6x Novx 1994x 08:49:37x', '1994-11-06T08:49:37Z'],
    ['odd delimiters', '\t"06"/Nov;1994@08:49:37~', '1994-11-06T08:49:37Z'],
    ['of several, the first of each', '6 Nov 1994 08:49:37 7 Dec 1995 09:50:38', '1994-11-06T08:49:37Z'],
    ['year 69', '01 Jan 69 00:00:00', '2069-01-01T00:00:00Z'],
    ['year 70', '01 Jan 70 00:00:00', '1970-01-01T00:00:00Z'],
    ['year 99', '01 Jan 99 00:00:00', '1999-01-01T00:00:00Z'],
    ['year 00', '01 Jan 00 00:00:00', '2000-01-01T00:00:00Z'],
    ['year 1601', '01 Jan 1601 00:00:00', '1601-01-01T00:00:00Z'],
    ['year 1600', '31 Dec 1600 23:59:59', undefined],
    ['year 100', '31 Dec 100 23:59:59', undefined],
    ['a leap day', '29 Feb 2024 00:00:00', '2024-02-29T00:00:00Z'],
    ['a leap day of no leap year', '29 Feb 2023 00:00:00', undefined],
    ['31 February', '31 Feb 2024 00:00:00', undefined],
    ['day 0', '0 Jan 2024 00:00:00', undefined],
    ['day 32', '32 Jan 2024 00:00:00', undefined],
    ['the last second of a day', '01 Jan 2024 23:59:59', '2024-01-01T23:59:59Z'],
    ['hour 24', '01 Jan 2024 24:00:00', undefined],
    ['minute 60', '01 Jan 2024 00:60:00', undefined],
    ['second 60', '01 Jan 2024 00:00:60', undefined],
    ['three digits of an hour', '01 Jan 2024 001:00:00', undefined],
    ['three digits of a second', '01 Jan 2024 00:00:001', undefined],
    ['five digits of a year', '01 Jan 20240 00:00:00', undefined],
    ['a year of one digit', '01 Jan 2 00:00:00', undefined],
    ['no time', '01 Jan 2024', undefined],
    ['no day', 'Jan 2024 00:00:00', undefined],
    ['no month', '01 2024 00:00:00', undefined],
    ['no year', '01 Jan 00:00:00', undefined],
    ['ISO 8601', '1970-01-01T00:00:00Z', undefined],
    ['a number', '0', undefined],
    ['nothing', '', undefined],
  ])('%s', (_, text, expected) => {
    expect(parseCookieDate(text)).toBe(expected === undefined ? undefined : at(expected))
  })

  it('property: every date that can be written as RFC 9110 5.6.7 has it is read', () => {
    const range = { min: new Date('1601-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }
    fc.assert(
      fc.property(fc.date(range), (date) => {
        expect(parseCookieDate(date.toUTCString())).toBe(Math.floor(date.getTime() / 1000) * 1000)
      }),
    )
  })

  it('property: any text reads as a date or as none', () => {
    const token = fc.constantFrom(
      '6',
      '06',
      '1994',
      '94',
      'Nov',
      'feb',
      '08:49:37',
      '31',
      ' ',
      ',',
      '-',
      ':',
      'x',
      '\xe9',
    )
    fc.assert(
      fc.property(
        fc.array(token).map((tokens) => tokens.join(' ')),
        (text) => {
          const date = parseCookieDate(text)
          expect(date === undefined || Number.isInteger(date)).toBe(true)
        },
      ),
    )
  })
})
