import type { Lang } from './i18n';

/** A page beside the map, or in its place. */
export type Page =
  | { name: 'deliveries'; dataset?: string; state?: string }
  | { name: 'delivery'; id: number }
  | { name: 'deliver'; dataset?: string }
  | { name: 'dataset'; id: string; from?: number; to?: number };

/** What a link to the portal carries: never a key. */
export interface Place {
  page?: Page;
  view?: { zoom: number; lat: number; lon: number };
  /** Collections that are read as of a release. */
  releases?: Record<string, number>;
  layers?: string[];
  lang?: Lang;
  feature?: { collection: string; fid: number };
  project?: string;
}

const slug = /^[a-z][a-z0-9_]{0,40}$/;

const word = /^[a-z]{1,20}$/;

/**
 * Reads `#zoom/lat/lon&layers=a,b&lang=en&feature=dltb/12&project=CODE&release=dltb/2`; what is malformed is left out.
 * A page comes first: `#/deliveries&dataset=dltb&state=awaiting`, `#/deliveries/12`, `#/deliveries/new`, `#/datasets/dltb&from=1&to=2`.
 */
export function parseHash(hash: string): Place {
  const place: Place = {};
  const parts = hash.replace(/^#/, '').split('&');
  const page = parsePage(parts);
  if (page) place.page = page;
  for (const part of parts) {
    const [name, raw] = part.split('=', 2);
    const text = raw === undefined ? '' : safeDecode(raw);
    switch (name) {
      case 'layers':
        place.layers = text.split(',').filter((id) => slug.test(id)).slice(0, 200);
        break;
      case 'lang':
        if (text === 'zh' || text === 'en') place.lang = text;
        break;
      case 'feature': {
        const m = /^([a-z][a-z0-9_]{0,40})\/(\d{1,15})$/.exec(text);
        if (m) place.feature = { collection: m[1]!, fid: Number(m[2]) };
        break;
      }
      case 'project':
        if (text && text.length <= 100) place.project = text;
        break;
      case 'release': {
        const releases = text.split(',').slice(0, 50).flatMap((one): [string, number][] => {
          const m = /^([a-z][a-z0-9_]{0,40})\/(\d{1,9})$/.exec(one);
          return m && Number(m[2]) > 0 ? [[m[1]!, Number(m[2])]] : [];
        });
        if (releases.length > 0) place.releases = Object.fromEntries(releases);
        break;
      }
      default: {
        const numbers = (name ?? '').split('/').map((n) => (n === '' ? NaN : Number(n)));
        const [zoom, lat, lon] = numbers;
        if (numbers.length === 3 && inside(zoom, 0, 24) && inside(lat, -85, 85) && inside(lon, -180, 180)) {
          place.view = { zoom: zoom!, lat: lat!, lon: lon! };
        }
      }
    }
  }
  return place;
}

function parsePage(parts: string[]): Page | null {
  const path = (parts[0] ?? '').split('/');
  if (path.shift() !== '' || path.length === 0) return null;
  const query = new Map(parts.slice(1).map((part) => part.split('=', 2) as [string, string | undefined]));
  const read = (name: string, form: RegExp) => {
    const value = query.get(name) ?? '';
    return form.test(value) ? value : undefined;
  };
  const dataset = read('dataset', slug);
  if (path[0] === 'deliveries') {
    if (path.length === 1) {
      const state = read('state', word);
      return { name: 'deliveries', ...(dataset ? { dataset } : {}), ...(state ? { state } : {}) };
    }
    if (path.length === 2 && path[1] === 'new') return { name: 'deliver', ...(dataset ? { dataset } : {}) };
    if (path.length === 2 && /^[1-9]\d{0,14}$/.test(path[1]!)) return { name: 'delivery', id: Number(path[1]) };
  }
  if (path[0] === 'datasets' && path.length === 2 && slug.test(path[1]!)) {
    const [from, to] = [read('from', /^[1-9]\d{0,8}$/), read('to', /^[1-9]\d{0,8}$/)];
    return { name: 'dataset', id: path[1]!, ...(from ? { from: Number(from) } : {}), ...(to ? { to: Number(to) } : {}) };
  }
  return null;
}

/** The parts of an address that name a page. */
export function formatPage(page: Page): string {
  switch (page.name) {
    case 'deliveries':
      return ['/deliveries', page.dataset && `dataset=${page.dataset}`, page.state && `state=${page.state}`].filter(Boolean).join('&');
    case 'delivery':
      return `/deliveries/${page.id}`;
    case 'deliver':
      return ['/deliveries/new', page.dataset && `dataset=${page.dataset}`].filter(Boolean).join('&');
    case 'dataset':
      return [`/datasets/${page.id}`, page.from && `from=${page.from}`, page.to && `to=${page.to}`].filter(Boolean).join('&');
  }
}

/** The inverse of parseHash, `#` included. */
export function formatHash(place: Place): string {
  const parts: string[] = [];
  if (place.page) parts.push(formatPage(place.page));
  if (place.view) {
    const { zoom, lat, lon } = place.view;
    parts.push(`${zoom.toFixed(2)}/${lat.toFixed(5)}/${lon.toFixed(5)}`);
  }
  if (place.layers) parts.push(`layers=${place.layers.join(',')}`);
  if (place.lang) parts.push(`lang=${place.lang}`);
  const releases = Object.entries(place.releases ?? {});
  if (releases.length > 0) parts.push(`release=${releases.map(([id, n]) => `${id}/${n}`).join(',')}`);
  if (place.feature) parts.push(`feature=${place.feature.collection}/${place.feature.fid}`);
  if (place.project) parts.push(`project=${encodeURIComponent(place.project)}`);
  return `#${parts.join('&')}`;
}

function inside(n: number | undefined, low: number, high: number): boolean {
  return n !== undefined && n >= low && n <= high;
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
