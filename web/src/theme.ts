import { both } from './i18n';
import type { Collection, Legend, LegendClass } from './types';
import type { Key } from './zh';

export type Group = 'framework' | 'planning' | 'assets' | 'projects' | 'other';

/** The groups in the order of the layer list, with their titles. */
export const groups: [Group, Key][] = [
  ['framework', 'groupFramework'],
  ['planning', 'groupPlanning'],
  ['assets', 'groupAssets'],
  ['projects', 'groupProjects'],
  ['other', 'groupOther'],
];

export interface Theme {
  kind: 'boundary' | 'places' | 'water' | 'roads' | 'buildings' | 'landuse' | 'planning' | 'symbol' | 'generic';
}

const framework: Record<string, Theme['kind']> = {
  xzq: 'boundary',
  counties: 'boundary',
  places: 'places',
  rivers: 'water',
  lakes: 'water',
  roads: 'roads',
  buildings: 'buildings',
  dltb: 'landuse',
};

const assets = new Set(['service_terminals', 'server_rooms', 'cabinets', 'fibre_lines', 'network_nodes', 'cameras', 'assets', 'projects']);

/** What sort of layer a collection is, in the list and under the pointer; how it is drawn the API says. */
export function themeOf(c: Collection): Theme {
  const known = framework[c.id];
  if (known) return { kind: known };
  if (assets.has(c.id)) return { kind: 'symbol' };
  const field = c.class.toUpperCase();
  if (/^(DLBM|GHDLBM|TDLYLX)$/.test(field)) return { kind: 'landuse' };
  if (c.id.startsWith('planning') || /^(GB50137|YDDM|YDXZDM|LANDCODE)$/.test(field)) return { kind: 'planning' };
  return { kind: 'generic' };
}

/** Polygon collections up to this many rows get one name for each polygon, not one for each piece of it in a tile. */
export const namedPolygons = 200;

/** Whether the polygons of a collection are named at one point each. */
export function namedByPoint(c: Collection): boolean {
  const { kind } = themeOf(c);
  return (kind === 'boundary' || kind === 'water') && c.label !== '' && c.rows <= namedPolygons && /polygon|geometry/i.test(c.geometryType);
}

/** The group of the layer list a collection belongs to. */
export function groupOf(c: Collection): Group {
  if (c.id === 'projects') return 'projects';
  if (framework[c.id]) return 'framework';
  if (assets.has(c.id)) return 'assets';
  if (themeOf(c).kind === 'planning') return 'planning';
  return 'other';
}

/** The class of a legend that a value is in, as the map finds it; none for the values of no class. */
export function classOf(legend: Legend | undefined, value: string): LegendClass | undefined {
  const named = (legend?.classes ?? []).flatMap((k) => (k.codes ?? []).map((code) => ({ code, k })));
  switch (legend?.match) {
    case 'prefix':
      return named.filter(({ code }) => value.toUpperCase().startsWith(code)).sort((a, b) => b.code.length - a.code.length)[0]?.k;
    case 'part':
      return named.find(({ code }) => value.toLowerCase().includes(code))?.k;
    default:
      return named.find(({ code }) => code === value)?.k;
  }
}

/** A collection's title; that it is synthetic is said by a badge, so the title need not repeat it. */
export function titleOf(c: Collection): string {
  const title = both(c.title, c.titleEn);
  return c.synthetic ? title.replace(/\s*[（(](合成|synthetic)[）)]$/, '') : title;
}

const order = ['xzq', 'counties', 'places', 'rivers', 'lakes', 'roads', 'buildings', 'dltb', 'projects'];

/** Collections in the order of the layer list: known ones first in a fixed order, then by id. */
export function sorted(collections: Collection[]): Collection[] {
  const rank = (c: Collection) => (order.indexOf(c.id) + order.length + 1) % (order.length + 1);
  return [...collections].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
}

/** Whether a layer is on when a visitor comes for the first time. */
export function onAtFirst(c: Collection): boolean {
  return groupOf(c) === 'framework' || c.id === 'service_terminals';
}
