import { expect, test } from 'vitest';
import { formatHash, parseHash, type Place } from './hash';

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

test('what is malformed is left out', () => {
  expect(parseHash('')).toEqual({});
  expect(parseHash('#99/0/0')).toEqual({});
  expect(parseHash('#8/91/111')).toEqual({});
  expect(parseHash('#8/29/')).toEqual({});
  expect(parseHash('#//')).toEqual({});
  expect(parseHash('#lang=fr&feature=dltb/x&feature=../1&project=')).toEqual({});
  expect(parseHash('#layers=xzq,../etc,%22,roads')).toEqual({ layers: ['xzq', 'roads'] });
  expect(parseHash('#project=%E0%A4%A')).toEqual({});
});

test('no key has a place in a link', () => {
  expect(parseHash('#key=secret&tk=secret')).toEqual({});
});
