import type { Lang } from './i18n';
import type { ChangedFeature, ClassCount, Difference, Progress, Version } from './deliverytypes';
import { count } from './format';
import type { Value } from './types';

export interface ClassRow {
  class: string;
  before: ClassCount;
  after: ClassCount;
}

/** Classes of both sides, those of the later side first as it orders them; a class that one side lacks has nothing there. */
export function classRows(d: Pick<Difference, 'before' | 'after'>): ClassRow[] {
  const none = (name: string): ClassCount => ({ class: name, rows: 0, area: 0 });
  const before = new Map((d.before.classes ?? []).map((c) => [c.class, c]));
  const rows = (d.after.classes ?? []).map((after) => {
    const old = before.get(after.class);
    before.delete(after.class);
    return { class: after.class, before: old ?? none(after.class), after };
  });
  return [...rows, ...[...before.values()].map((old) => ({ class: old.class, before: old, after: none(old.class) }))];
}

/** The class that others are counted together as. */
const folded = '…';

/** How many classes a row of the table counts together, on either side; null for a class of its own. */
export function foldedIn(d: Pick<Difference, 'before' | 'after'>, name: string): { before: number; after: number } | null {
  const [before, after] = [d.before.folded ?? 0, d.after.folded ?? 0];
  return name === folded && before + after > 0 ? { before, after } : null;
}

/** The changed fields of a feature with their values, where the list has them; null is no value. */
export function changedValues(p: Pick<ChangedFeature['properties'], 'fields' | 'before' | 'after'>): { field: string; before: string | null; after: string | null }[] {
  const { before, after } = p;
  if (!before || !after) return [];
  // An object orders names of digits first; the list of fields has the columns' order.
  const order = (p.fields ?? '').split(', ');
  return Object.keys(after).sort((a, b) => order.indexOf(a) - order.indexOf(b)).map((field) => ({ field, before: before[field] ?? null, after: after[field] ?? null }));
}

/** A count that came or went: "+3", "−2", "0". */
export function signed(n: number): string {
  return n > 0 ? `+${count(n)}` : n < 0 ? `−${count(-n)}` : '0';
}

export interface AreaUnit {
  per: number;
  zh: string;
  en: string;
}

/** One unit for a table of areas, by the largest of them: square kilometres, hectares or square metres. */
export function areaUnit(largest: number): AreaUnit {
  if (largest >= 1e6) return { per: 1e6, zh: '平方公里', en: 'km²' };
  if (largest >= 1e4) return { per: 1e4, zh: '公顷', en: 'ha' };
  return { per: 1, zh: '平方米', en: 'm²' };
}

/** An area in a unit, with the decimals that a square metre, or a hundred of them, needs. */
export function area(squareMetres: number, unit: AreaUnit): string {
  const [whole, part] = Math.abs(squareMetres / unit.per).toFixed(unit.per === 1 ? 1 : 4).split('.');
  const text = `${count(Number(whole))}.${part}`;
  return squareMetres < 0 && Number(text.replaceAll(',', '')) !== 0 ? `−${text}` : text;
}

/** A signed area in a unit; changes below what is shown are 0. */
export function signedArea(squareMetres: number, unit: AreaUnit): string {
  const text = area(squareMetres, unit);
  if (/^[0.]+$/.test(text)) return '0';
  return squareMetres > 0 ? `+${text}` : text;
}

/** The change of a number in percent of what it was, or "" where it was nothing. */
export function percent(before: number, after: number): string {
  if (before === 0) return '';
  const share = ((after - before) / before) * 100;
  const text = Math.abs(share).toFixed(2);
  return text === '0.00' ? '0%' : `${share > 0 ? '+' : '−'}${text}%`;
}

/** The part of a step that is done, 0 to 1, or null when its end is not known. */
export function shareOf(p: Progress | null | undefined): number | null {
  if (!p?.total || p.total <= 0) return null;
  return Math.min(1, Math.max(0, (p.done ?? 0) / p.total));
}

/** A size for reading: 8 MiB is "8.0 MB" by the powers of 1024 that file managers show. */
export function bytes(n: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let size = n;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return unit === 0 ? `${n} B` : `${size.toFixed(size < 100 ? 1 : 0)} ${units[unit]}`;
}

/** How long something took or will take. */
export function duration(seconds: number, lang: Lang): string {
  const s = Math.max(0, Math.round(seconds));
  const [h, m] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  if (lang === 'zh') return h > 0 ? `${h} 小时 ${m} 分` : m > 0 ? `${m} 分 ${s % 60} 秒` : `${s} 秒`;
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min ${s % 60} s` : `${s} s`;
}

export interface VersionChange {
  fields: { field: string; before: Value | undefined; after: Value | undefined }[];
  moved: boolean;
}

/** What changed from one version of a feature to the next. Shapes closer than a tenth of a millimetre are the same, as for the platform. */
export function versionChange(before: Version, after: Version): VersionChange {
  const [old, now] = [before.feature.properties, after.feature.properties];
  const names = [...new Set([...Object.keys(now), ...Object.keys(old)])];
  return {
    fields: names.filter((name) => (old[name] ?? null) !== (now[name] ?? null)).map((field) => ({ field, before: old[field], after: now[field] })),
    moved: !near(before.feature.geometry, after.feature.geometry),
  };
}

function near(a: unknown, b: unknown): boolean {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) <= 1e-9;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((v, i) => near(v, b[i]));
  if (a && b && typeof a === 'object' && typeof b === 'object' && !Array.isArray(a) && !Array.isArray(b)) {
    const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
    return Object.keys(x).length === Object.keys(y).length && Object.keys(x).every((k) => near(x[k], y[k]));
  }
  return a === b;
}
