import { describe, expect, test } from 'vitest';
import { count, day, daysBetween, money, value, wan } from './format';

describe('wan', () => {
  test.each([
    ['1234567.00', '123.46'],
    ['1234549.99', '123.45'],
    ['50.00', '0.01'],
    ['49.99', '0.00'],
    ['-49.99', '0.00'],
    ['-50', '-0.01'],
    ['0', '0.00'],
    ['98765432109876543.21', '9,876,543,210,987.65'],
    ['10000.5', '1.00'],
  ])('%s yuan is %s', (yuan, want) => expect(wan(yuan)).toBe(want));

  test.each([null, undefined, '', 'abc', '1e6', '1.234'])('%s is no amount', (v) => expect(wan(v)).toBe('—'));
});

test('money carries its unit', () => {
  expect(money('1234567.00', 'zh')).toBe('123.46 万元');
  expect(money('1234567.00', 'en')).toBe('123.46 ×10⁴ CNY');
  expect(money(null, 'zh')).toBe('—');
});

test('count groups', () => {
  expect(count(0)).toBe('0');
  expect(count(999)).toBe('999');
  expect(count(2000000)).toBe('2,000,000');
});

test('day is the day in the city', () => {
  expect(day('2026-11-24T06:00:00Z')).toBe('2026-11-24');
  expect(day('2026-11-23T16:00:00Z')).toBe('2026-11-24');
  expect(day('2012-02-29')).toBe('2012-02-29');
  expect(day('soon')).toBe('soon');
  expect(day(null)).toBe('—');
});

test('daysBetween', () => {
  expect(daysBetween('2012-02-28', '2012-03-01')).toBe(2);
  expect(daysBetween('2012-03-01', '2012-03-01')).toBe(0);
  expect(daysBetween(null, '2012-03-01')).toBeNull();
});

test('value', () => {
  expect(value(20120101, 'integer', 'zh')).toBe('20120101');
  expect(value(0.1 + 0.2, 'real', 'zh')).toBe('0.3');
  expect(value(true, 'boolean', 'zh')).toBe('是');
  expect(value(false, 'boolean', 'en')).toBe('no');
  expect(value(0, 'integer', 'en')).toBe('0');
  expect(value(null, 'text', 'zh')).toBe('—');
  expect(value('2012-01-01T00:30:00+08:00', 'timestamp', 'zh')).toBe('2012-01-01 00:30');
});
