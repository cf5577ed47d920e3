import type { Lang } from './i18n';

/** What a link to the portal carries: never a key. */
export interface Place {
  view?: { zoom: number; lat: number; lon: number };
  layers?: string[];
  lang?: Lang;
  feature?: { collection: string; fid: number };
  project?: string;
}

const slug = /^[a-z][a-z0-9_]{0,40}$/;

/** Reads `#zoom/lat/lon&layers=a,b&lang=en&feature=dltb/12&project=CODE`; what is malformed is left out. */
export function parseHash(hash: string): Place {
  const place: Place = {};
  for (const part of hash.replace(/^#/, '').split('&')) {
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

/** The inverse of parseHash, `#` included. */
export function formatHash(place: Place): string {
  const parts: string[] = [];
  if (place.view) {
    const { zoom, lat, lon } = place.view;
    parts.push(`${zoom.toFixed(2)}/${lat.toFixed(5)}/${lon.toFixed(5)}`);
  }
  if (place.layers) parts.push(`layers=${place.layers.join(',')}`);
  if (place.lang) parts.push(`lang=${place.lang}`);
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
