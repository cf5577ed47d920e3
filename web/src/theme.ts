import { assets, assetSymbols, landUse, places, planning, roads, type Class, type Symbol } from './classes';
import { both } from './i18n';
import { assetTypes } from './words';
import type { Key } from './zh';
import type { Collection } from './types';

export type Group = 'framework' | 'planning' | 'assets' | 'projects' | 'other';

/** The groups in the order of the layer list, with their titles. */
export const groups: [Group, Key][] = [
  ['framework', 'groupFramework'],
  ['planning', 'groupPlanning'],
  ['assets', 'groupAssets'],
  ['projects', 'groupProjects'],
  ['other', 'groupOther'],
];

export type Theme =
  | { kind: 'boundary' }
  | { kind: 'places' }
  | { kind: 'water' }
  | { kind: 'roads' }
  | { kind: 'buildings' }
  | { kind: 'landuse' }
  | { kind: 'planning' }
  | { kind: 'symbol'; symbol: Symbol }
  | { kind: 'generic'; color: string };

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

/** How a collection is drawn. A collection that nobody foresaw gets a colour of its own, the same every time. */
export function themeOf(c: Collection): Theme {
  const known = framework[c.id];
  if (known) return { kind: known } as Theme;
  const symbol = assets[c.id];
  if (symbol) return { kind: 'symbol', symbol };
  const field = c.class.toUpperCase();
  if (/^(DLBM|GHDLBM|TDLYLX)$/.test(field)) return { kind: 'landuse' };
  if (c.id.startsWith('planning') || /^(GB50137|YDDM|YDXZDM|LANDCODE)$/.test(field)) return { kind: 'planning' };
  return { kind: 'generic', color: colorOf(c.id) };
}

/** The group of the layer list a collection belongs to. */
export function groupOf(c: Collection): Group {
  if (c.id === 'projects') return 'projects';
  if (framework[c.id]) return 'framework';
  if (assets[c.id]) return 'assets';
  if (themeOf(c).kind === 'planning') return 'planning';
  return 'other';
}

/** Classes to show in the legend; empty when the collection is drawn in one manner. */
export function legendOf(c: Collection): Class[] {
  switch (themeOf(c).kind) {
    case 'landuse':
      return landUse;
    case 'planning':
      return planning;
    case 'roads':
      return c.class ? roads : [];
    case 'places':
      return c.class ? places : [];
    case 'symbol':
      return c.id === 'assets' && c.class
        ? Object.entries(assetSymbols).map(([type, { color }]) => ({ codes: [type], zh: assetTypes[type]![0], en: assetTypes[type]![1], color }))
        : [];
    default:
      return [];
  }
}

/** A collection's title; that it is synthetic is said by a badge, so the title need not repeat it. */
export function titleOf(c: Collection): string {
  const title = both(c.title, c.titleEn);
  return c.synthetic ? title.replace(/\s*[（(](合成|synthetic)[）)]$/, '') : title;
}

/** A muted colour that depends on the id alone. */
export function colorOf(id: string): string {
  let hash = 2166136261; // FNV-1a
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 16777619) >>> 0;
  return `hsl(${hash % 360}, 42%, ${42 + ((hash >>> 9) % 3) * 6}%)`;
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
