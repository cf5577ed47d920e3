import { expect, test } from 'vitest';
import { formatHash, parseHash, type Page, type Place } from './hash';

test('what is written is read again', () => {
  const places: Place[] = [
    {},
    { view: { zoom: 11.25, lat: 29.03, lon: 111.69 } },
    { view: { zoom: 0, lat: -0.5, lon: -179.5 }, lang: 'en' },
    { layers: [] },
    { layers: ['xzq', 'dltb_2012'], feature: { collection: 'dltb', fid: 12345 }, project: '常电政〔2012〕3号 & 4#', lang: 'zh' },
  ];
  for (const place of places) expect(parseHash(formatHash(place))).toEqual(place);
});

test('pages are written and read again', () => {
  const pages: Page[] = [
    { name: 'deliveries' },
    { name: 'deliveries', dataset: 'dltb', state: 'awaiting' },
    { name: 'delivery', id: 12 },
    { name: 'deliver' },
    { name: 'deliver', dataset: 'roads' },
    { name: 'dataset', id: 'dltb' },
    { name: 'dataset', id: 'dltb', from: 1, to: 3 },
  ];
  for (const page of pages) {
    const place: Place = { page, view: { zoom: 11, lat: 29, lon: 111 }, releases: { dltb: 2, xzq: 1 }, lang: 'zh' };
    expect(parseHash(formatHash(place))).toEqual(place);
  }
  expect(formatHash({ page: { name: 'delivery', id: 12 } })).toBe('#/deliveries/12');
});

test.each(['#/deliveries/0', '#/deliveries/x', '#/deliveries/1/2', '#/datasets', '#/datasets/..', '#/elsewhere', '#/'])('%s is no page', (hash) => {
  expect(parseHash(hash)).toEqual({});
});

test('a page with malformed conditions is the page', () => {
  expect(parseHash('#/deliveries&dataset=%22&state=a b')).toEqual({ page: { name: 'deliveries' } });
  expect(parseHash('#/datasets/dltb&from=0&to=x')).toEqual({ page: { name: 'dataset', id: 'dltb' } });
});

test('what is malformed is left out', () => {
  expect(parseHash('')).toEqual({});
  expect(parseHash('#99/0/0')).toEqual({});
  expect(parseHash('#8/91/111')).toEqual({});
  expect(parseHash('#8/29/')).toEqual({});
  expect(parseHash('#//')).toEqual({});
  expect(parseHash('#lang=fr&feature=dltb/x&feature=../1&project=')).toEqual({});
  expect(parseHash('#release=dltb/0,../1,roads')).toEqual({});
  expect(parseHash('#layers=xzq,../etc,%22,roads')).toEqual({ layers: ['xzq', 'roads'] });
  expect(parseHash('#project=%E0%A4%A')).toEqual({});
});

test('no key has a place in a link', () => {
  expect(parseHash('#key=secret&tk=secret')).toEqual({});
});
