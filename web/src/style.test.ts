import { createExpression, validateStyleMin } from '@maplibre/maplibre-gl-style-spec';
import { describe, expect, test } from 'vitest';
import { assets, landUse, planning, roads } from './classes';
import { buildStyle, byPart, byPrefix, collectionLayers } from './style';
import { colorOf, groupOf, legendOf, sorted, themeOf } from './theme';
import type { Collection } from './types';

function collection(id: string, more: Partial<Collection> = {}): Collection {
  return {
    id, title: id, titleEn: id, description: '', geometryType: 'Geometry', owner: null, sharing: 'public', kind: 'delivered',
    label: 'NAME', class: 'CLASS', attribution: '', synthetic: false, release: 1, revision: 1, released: '2026-01-01T00:00:00Z', rows: 1, fields: [], ...more,
  };
}

const all = [
  ...['xzq', 'places', 'rivers', 'lakes', 'roads', 'buildings', 'planning', 'service_terminals', 'cameras', 'projects', 'whatever'].map((id) => collection(id)),
  collection('dltb', { class: 'DLBM' }),
  collection('bare', { class: '', label: '' }),
  collection('roads', { id: 'roads', class: '', label: '' }),
];

const empty: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

function styleOf(collections: Collection[]) {
  return buildStyle({
    shown: collections.map((c) => ({ collection: c, visible: true, tiles: { tiles: [`http://127.0.0.1/${c.id}/{z}/{y}/{x}`], minzoom: 3, maxzoom: 14 } })),
    labels: empty,
    selection: empty,
  });
}

test('every style is valid by the style specification', () => {
  for (const c of all) expect(validateStyleMin(styleOf([c]) as never), c.id).toEqual([]);
  const unique = [...new Map(all.map((c) => [c.id, c])).values()];
  expect(validateStyleMin(styleOf(unique) as never)).toEqual([]);
});

test('no style needs glyphs, sprites or a font by name', () => {
  const style = styleOf(all.slice(0, 12));
  expect(style.glyphs).toBeUndefined();
  expect(style.sprite).toBeUndefined();
  expect(JSON.stringify(style)).not.toContain('text-font');
});

test('areas lie under lines, lines under points, points under names', () => {
  const style = styleOf(all.slice(0, 12));
  const at = (id: string) => style.layers.findIndex((l) => l.id === id);
  for (const [below, above] of [
    ['-paper', 'xzq:fill'], ['xzq:fill', 'dltb:fill'], ['dltb:fill', 'planning:fill'], ['planning:fill', 'rivers:line'], ['rivers:line', 'roads:casing'],
    ['roads:casing', 'roads:line'], ['roads:line', 'cameras:point'], ['cameras:point', '-selected-line'], ['-selected-line', 'roads:names'], ['roads:names', 'places:names'],
  ] as const) {
    expect(at(below), below).toBeGreaterThanOrEqual(0);
    expect(at(below), `${below} under ${above}`).toBeLessThan(at(above));
  }
});

test('what a page shows lies over the layers it takes back, and removals are dashed', () => {
  const drawn = { shown: [], labels: empty, selection: empty };
  const overlay = { changes: 'http://127.0.0.1/c/{z}/{y}/{x}', findings: empty, mark: null };
  const style = buildStyle({ ...drawn, overlay });
  expect(validateStyleMin(style as never)).toEqual([]);
  const ids = style.layers.map((l) => l.id);
  expect(ids.indexOf('-veil')).toBeLessThan(ids.indexOf('-changes-fill'));
  expect(ids.indexOf('-changes-edge')).toBeLessThan(ids.indexOf('-selected-line'));
  expect(ids.indexOf('-selected-line')).toBeLessThan(ids.indexOf('-findings-point'));
  const gone = style.layers.find((l) => l.id === '-changes-gone') as { paint: Record<string, unknown> };
  expect(gone.paint['line-dasharray']).toBeDefined();
  const fill = style.layers.find((l) => l.id === '-changes-fill') as { paint: { 'fill-color': unknown } };
  expect(new Set(['added', 'removed', 'changed', 'else'].map((kind) => evaluate(fill.paint['fill-color'], { kind }))).size).toBe(4);
  expect(buildStyle({ ...drawn, overlay: { ...overlay, changes: null } }).sources['-changes']).toBeUndefined();
  expect(buildStyle({ ...drawn, overlay: null }).layers.map((l) => l.id)).not.toContain('-veil');
});

/** Evaluates a style expression the way the map does. */
function evaluate(expression: unknown, properties: Record<string, unknown>, zoom = 12): string {
  const made = createExpression(expression as never, { rootKey: 'test' } as never);
  if (made.result !== 'success') throw new Error(JSON.stringify(made.value));
  return String(made.value.evaluate({ zoom } as never, { type: 3, properties } as never));
}

describe('classes', () => {
  const land = (code: string) => evaluate(byPrefix('DLBM', landUse, '#123456'), { DLBM: code });
  test.each([['0101', '耕地'], ['05H1', '商服用地'], ['0301K', '林地'], ['203', '住宅与城镇村'], ['0810', '草地与公园绿地'], ['08H2', '公共管理与公共服务用地']])('DLBM %s is %s', (code, name) => {
    expect(land(code)).toBe(landUse.find((k) => k.zh === name)!.color);
  });
  test('an unknown or absent code has the fallback', () => {
    expect(land('99')).toBe('#123456');
    expect(evaluate(byPrefix('DLBM', landUse, '#123456'), {})).toBe('#123456');
    expect(byPrefix('', landUse, '#123456')).toBe('#123456');
  });
  test.each([['R2', '居住用地'], ['r2', '居住用地'], ['E1', '水域'], ['E2', '非建设用地'], ['G1', '绿地与广场']])('plan %s is %s', (code, name) => {
    expect(evaluate(byPrefix('YDXZDM', planning, '#000'), { YDXZDM: code })).toBe(planning.find((k) => k.zh === name)!.color);
  });
  test.each([['trunk', 1], ['国道', 1], ['primary', 2], ['城市主干路', 2], ['county', 3], ['residential', 4], ['', 4]])('road %s is class %d', (value, index) => {
    expect(evaluate(byPart('class', roads, (k) => k.color), { class: value })).toBe(roads[index]!.color);
  });
  test('colours differ within a table', () => {
    for (const table of [landUse, planning]) expect(new Set(table.map((k) => k.color)).size).toBe(table.length);
  });
});

test('small roads wait for their zoom', () => {
  const line = collectionLayers(collection('roads', { class: 'class' })).find(([, l]) => l.id === 'roads:line')![1] as { filter: unknown };
  const drawn = (zoom: number, kind: string) => evaluate(line.filter, { class: kind }, zoom);
  expect(drawn(9, 'trunk')).toBe('true');
  expect(drawn(9, 'track')).toBe('false');
  expect(drawn(12, 'track')).toBe('true');
});

test('a collection nobody foresaw keeps its colour and gets a layer for each type of geometry', () => {
  expect(colorOf('water_gates')).toBe(colorOf('water_gates'));
  expect(colorOf('water_gates')).not.toBe(colorOf('water_towers'));
  const kinds = collectionLayers(collection('whatever')).map(([, l]) => l.type);
  expect(kinds).toEqual(expect.arrayContaining(['fill', 'line', 'circle', 'symbol']));
});

test('groups, themes and order', () => {
  expect(groupOf(collection('dltb'))).toBe('framework');
  expect(groupOf(collection('planning'))).toBe('planning');
  expect(groupOf(collection('cameras'))).toBe('assets');
  expect(groupOf(collection('projects'))).toBe('projects');
  expect(groupOf(collection('soil'))).toBe('other');
  expect(themeOf(collection('survey_2009', { class: 'DLBM' })).kind).toBe('landuse');
  expect(legendOf(collection('buildings'))).toEqual([]);
  expect(sorted([collection('b'), collection('dltb'), collection('a'), collection('xzq')]).map((c) => c.id)).toEqual(['xzq', 'dltb', 'a', 'b']);
});

test('assets that projects build look like those of the asset collections', () => {
  const point = collectionLayers(collection('assets', { class: 'type' })).find(([, l]) => l.id === 'assets:point')![1] as { paint: { 'circle-color': unknown } };
  const color = (type: string) => evaluate(point.paint['circle-color'], { type });
  expect(color('camera')).toBe(assets['cameras']!.color);
  expect(color('building')).toBe(assets['assets']!.color);
  expect(legendOf(collection('assets', { class: 'type' })).map((k) => k.zh)).toContain('视频监控点');
});
