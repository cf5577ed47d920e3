import { describe, expect, test } from 'vitest';
import { area, areaUnit, bytes, changedValues, classRows, duration, foldedIn, percent, shareOf, signed, signedArea, versionChange } from './difference';
import type { ClassCount, Version } from './deliverytypes';

const statistics = (...classes: ClassCount[]) => ({ rows: 0, area: 0, classes });

test('classes of both sides are one table', () => {
  const rows = classRows({
    before: statistics({ class: '0101', rows: 5, area: 50 }, { class: '11', rows: 2, area: 9 }),
    after: statistics({ class: '0701', rows: 3, area: 7 }, { class: '0101', rows: 4, area: 40 }),
  });
  expect(rows.map((r) => [r.class, r.before.rows, r.after.rows, r.before.area, r.after.area])).toEqual([
    ['0701', 0, 3, 0, 7],
    ['0101', 5, 4, 50, 40],
    ['11', 2, 0, 9, 0],
  ]);
  expect(classRows({ before: { rows: 0, area: 0, classes: null }, after: { rows: 0, area: 0, classes: null } })).toEqual([]);
});

test('classes counted together are told by their number, on the side that has them', () => {
  const side = (folded?: number) => ({ ...statistics(), ...(folded ? { folded } : {}) });
  expect(foldedIn({ before: side(501), after: side(500) }, '…')).toEqual({ before: 501, after: 500 });
  expect(foldedIn({ before: side(), after: side(3) }, '…')).toEqual({ before: 0, after: 3 });
  expect(foldedIn({ before: side(501), after: side(500) }, '0101')).toBeNull();
  expect(foldedIn({ before: side(), after: side() }, '…')).toBeNull();
});

test('changed values keep the order of the fields, and a list without them has none', () => {
  const p = { fields: '名称, 2012, 面积', before: { 2012: 'a', 名称: '旧', 面积: null }, after: { 2012: 'b', 名称: null, 面积: '2.5' } };
  expect(changedValues(p)).toEqual([{ field: '名称', before: '旧', after: null }, { field: '2012', before: 'a', after: 'b' }, { field: '面积', before: null, after: '2.5' }]);
  expect(changedValues({ fields: '名称' })).toEqual([]);
  expect(changedValues({ fields: null, before: null, after: null })).toEqual([]);
});

test.each([[0, '0'], [3, '+3'], [-1200, '−1,200'], [20746, '+20,746']])('%d rows came or went: %s', (n, want) => expect(signed(n)).toBe(want));

describe('areas', () => {
  test.each([
    [999.95, '平方米', '1,000.0'],
    [9_999.9, '平方米', '9,999.9'],
    [12_345.678, '公顷', '1.2346'],
    [8_078_337.2, '平方公里', '8.0783'],
    [1_818_910_000_000, '平方公里', '1,818,910.0000'],
  ])('%d m² in %s is %s', (m2, unit, want) => {
    expect(areaUnit(m2).zh).toBe(unit);
    expect(area(m2, areaUnit(m2))).toBe(want);
  });

  const km2 = areaUnit(1e7);
  test.each([[0, '0'], [12, '0'], [-12, '0'], [-218_108, '−0.2181'], [5_000_000, '+5.0000']])('a change of %d m² is %s', (m2, want) => {
    expect(signedArea(m2, km2)).toBe(want);
  });

  test.each([[100, 80, '−20.00%'], [100, 120.005, '+20.00%'], [0, 5, ''], [1e9, 1e9 + 1, '0%']])('%d to %d is %s', (before, after, want) => {
    expect(percent(before, after)).toBe(want);
  });
});

test('the part of a step that is done', () => {
  expect(shareOf({ phase: 'load', done: 25, total: 100 })).toBe(0.25);
  expect(shareOf({ phase: 'load', done: 110, total: 100 })).toBe(1);
  expect(shareOf({ phase: 'load', total: 100 })).toBe(0);
  expect(shareOf({ phase: 'load', done: 25 })).toBeNull();
  expect(shareOf(null)).toBeNull();
});

test.each([[0, '0 B'], [1023, '1023 B'], [8 << 20, '8.0 MB'], [1_980_465, '1.9 MB'], [909_309, '888 KB'], [3 * 2 ** 40, '3.0 TB']])('%d bytes are %s', (n, want) => {
  expect(bytes(n)).toBe(want);
});

test('durations', () => {
  expect(duration(59.6, 'zh')).toBe('1 分 0 秒');
  expect(duration(7, 'en')).toBe('7 s');
  expect(duration(3725, 'zh')).toBe('1 小时 2 分');
  expect(duration(-1, 'zh')).toBe('0 秒');
});

describe('versions', () => {
  const version = (properties: Version['feature']['properties'], ...at: number[]): Version => ({
    release: 1, revision: 1, kind: 'release', fid: 1, from: '', organisation: '', document: '', note: '',
    feature: { properties, geometry: at.length > 0 ? { type: 'Point', coordinates: at } : null },
  });

  test('fields and shape that changed', () => {
    expect(versionChange(version({ a: 1, b: 'x', gone: true }, 111, 29), version({ a: 1, b: 'y', come: null }, 111, 29.00001))).toEqual({
      fields: [{ field: 'b', before: 'x', after: 'y' }, { field: 'gone', before: true, after: undefined }],
      moved: true,
    });
  });

  test('less than a tenth of a millimetre is no movement', () => {
    expect(versionChange(version({}, 111, 29), version({}, 111, 29 + 5e-10)).moved).toBe(false);
    expect(versionChange(version({}, 111, 29), version({})).moved).toBe(true);
    expect(versionChange(version({}), version({})).moved).toBe(false);
  });
});
