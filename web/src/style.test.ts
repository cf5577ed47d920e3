import { createExpression, validateStyleMin } from '@maplibre/maplibre-gl-style-spec';
import { describe, expect, test } from 'vitest';
import { buildStyle } from './style';
import { classOf, groupOf, sorted, themeOf } from './theme';
import type { Collection, Drawing } from './types';

function collection(id: string, more: Partial<Collection> = {}): Collection {
  return {
    id, title: id, titleEn: id, description: '', geometryType: 'Geometry', owner: null, sharing: 'public', kind: 'delivered',
    label: 'NAME', class: 'CLASS', attribution: '', synthetic: false, release: 1, revision: 1, released: '2026-01-01T00:00:00Z', rows: 1, fields: [], ...more,
  };
}

const empty: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

/** A collection as the API draws it: layers of an order each. */
function drawingOf(id: string, orders: Record<string, number>): Drawing {
  return {
    source: { type: 'vector', tiles: [`http://127.0.0.1/${id}/{z}/{y}/{x}`], minzoom: 3, maxzoom: 14 },
    layers: Object.entries(orders).map(([part, order]) => ({
      id: `${id}:${part}`, source: id, 'source-layer': id, metadata: { 'changde:order': order },
      ...(part.endsWith('names')
        ? { type: 'symbol' as const, filter: ['!', ['has', 'generalized']], layout: { 'text-field': ['to-string', ['get', 'NAME']], 'text-size': 12, 'text-padding': 90 } }
        : { type: 'fill' as const, paint: { 'fill-color': '#123456' } }),
    })) as Drawing['layers'],
    legend: {},
  };
}

const parts: Record<string, Record<string, number>> = {
  xzq: { fill: 5, names: 76 }, dltb: { fill: 10 }, lakes: { fill: 20, names: 72, 'area-names': 72 }, roads: { fill: 31, names: 70 }, places: { names: 75 }, cameras: { fill: 54 },
};

function styleOf(collections: Collection[]) {
  return buildStyle({ shown: collections.map((c) => ({ collection: c, drawing: drawingOf(c.id, parts[c.id]!) })), labels: empty, selection: empty, sprite: 'http://127.0.0.1/sprites/default-1' });
}

const all = Object.keys(parts).map((id) => collection(id));

test('every style is valid by the style specification', () => {
  for (const c of all) expect(validateStyleMin(styleOf([c]) as never), c.id).toEqual([]);
  expect(validateStyleMin(styleOf(all) as never)).toEqual([]);
});

test('no style needs glyphs or a font by name', () => {
  const style = styleOf(all);
  expect(style.glyphs).toBeUndefined();
  expect(style.sprite).toBe('http://127.0.0.1/sprites/default-1');
  expect(buildStyle({ shown: [], labels: empty, selection: empty }).sprite).toBeUndefined();
  expect(JSON.stringify(style)).not.toContain('text-font');
});

test('areas lie under lines, lines under points, points under names', () => {
  const style = styleOf(all);
  const at = (id: string) => style.layers.findIndex((l) => l.id === id);
  for (const [below, above] of [
    ['-paper', 'xzq:fill'], ['xzq:fill', 'dltb:fill'], ['dltb:fill', 'lakes:fill'], ['lakes:fill', 'roads:fill'], ['roads:fill', 'cameras:fill'],
    ['cameras:fill', '-selected-line'], ['-selected-line', 'roads:names'], ['roads:names', 'places:names'],
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

test('small collections of areas are named at one point each', () => {
  const names = (id: string, layer: string, more: Partial<Collection> = {}) =>
    styleOf([collection(id, more)]).layers.find((l) => l.id === layer) as { source: string; layout: Record<string, unknown>; filter: unknown };
  for (const [id, layer] of [['xzq', 'xzq:names'], ['lakes', 'lakes:area-names']] as const) {
    const at = names(id, layer);
    expect(at.source).toBe('-labels');
    expect(at.filter).toEqual(['==', ['get', 'collection'], id]);
    expect(at.layout).toMatchObject({ 'text-field': ['get', 'name'], 'text-size': 12 });
    expect((at as { maxzoom?: number }).maxzoom).toBe(id === 'xzq' ? 11.5 : undefined);
    expect(names(id, layer, { rows: 201 }).source).toBe(id);
    expect(names(id, layer, { geometryType: 'MultiLineString' }).source).toBe(id);
  }
  expect(names('lakes', 'lakes:names').source).toBe('lakes');
  expect(names('places', 'places:names').source).toBe('places');
});

describe('the class of a value', () => {
  const named = (codes: string[], zh: string) => ({ codes, zh, en: zh, color: '#123456' });
  const prefix = { match: 'prefix' as const, classes: [named(['08'], '公共'), named(['0810', '087'], '公园'), named(['R'], '居住'), { zh: '其他', en: 'Other', color: '#654321' }] };
  test.each([['0801', '公共'], ['0810', '公园'], ['0810a', '公园'], ['r2', '居住'], ['99', undefined], ['', undefined]])('%s begins as %s', (value, name) => {
    expect(classOf(prefix, value)?.zh).toBe(name);
  });
  test('by value and by part', () => {
    const classes = [named(['trunk'], '国道'), named(['road'], '路')];
    expect(classOf({ match: 'value', classes }, 'trunk')?.zh).toBe('国道');
    expect(classOf({ match: 'value', classes }, 'Trunk road')).toBeUndefined();
    expect(classOf({ match: 'part', classes }, 'Trunk Road')?.zh).toBe('国道');
    expect(classOf(undefined, 'trunk')).toBeUndefined();
    expect(classOf({ color: '#123456' }, 'trunk')).toBeUndefined();
  });
});

test('groups, themes and order', () => {
  expect(groupOf(collection('dltb'))).toBe('framework');
  expect(groupOf(collection('planning'))).toBe('planning');
  expect(groupOf(collection('cameras'))).toBe('assets');
  expect(groupOf(collection('projects'))).toBe('projects');
  expect(groupOf(collection('soil'))).toBe('other');
  expect(themeOf(collection('survey_2009', { class: 'DLBM' })).kind).toBe('landuse');
  expect(sorted([collection('b'), collection('dltb'), collection('a'), collection('xzq')]).map((c) => c.id)).toEqual(['xzq', 'dltb', 'a', 'b']);
});
