import { expect, test } from 'vitest';
import { en } from './en';
import { fill } from './i18n';
import { zh, type Key } from './zh';

const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

test('both dictionaries have the same keys and placeholders, and no empty text', () => {
  expect(Object.keys(en).sort()).toEqual(Object.keys(zh).sort());
  for (const key of Object.keys(zh) as Key[]) {
    expect(names(en[key]), key).toEqual(names(zh[key]));
    expect(en[key].trim(), key).not.toBe('');
    expect(zh[key].trim(), key).not.toBe('');
  }
});

test('fill replaces what it knows and leaves the rest', () => {
  expect(fill('第 {n} 版 · {day}', { n: 3 })).toBe('第 3 版 · {day}');
  expect(fill('{n}{n}', { n: 0 })).toBe('00');
});
