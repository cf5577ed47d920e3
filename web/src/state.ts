import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { get, key, local, offline, RequestError, setKey } from './api';
import { formatHash, formatPage, parseHash, type Page, type Place } from './hash';
import { lang, setLang } from './i18n';
import { onAtFirst, sorted, themeOf } from './theme';
import type { Asset, Box, Collection, Drawing, Feature, Landing, ProjectDetail, ServedStyle, Sprite } from './types';

export interface Picked {
  collection: string;
  fid: number;
}

export interface Notice {
  id: number;
  title: string;
  detail: string;
}

/** What a page puts on the map over everything else. */
export interface Overlay {
  /** Address of vector tiles with the layer "changes", or null. */
  changes: string | null;
  /** Points with the property severity. */
  findings: GeoJSON.FeatureCollection;
  /** What is picked on the page; with the property ink in no colour of a change. */
  mark: GeoJSON.Feature | null;
}

export const landing = signal<Landing | null>(null);
/** null until the catalogue has been read. */
export const collections = signal<Collection[] | null>(null);
/** How collections are drawn, as the API says. */
export const drawings = signal<ReadonlyMap<string, Drawing>>(new Map());
export const sprite = signal<Sprite | null>(null);
/** Layers that are switched on, visible to the caller or not: signing in again brings them back. */
export const on = signal<ReadonlySet<string>>(new Set());
export const view = signal<{ zoom: number; lat: number; lon: number } | null>(null);
/** The page beside the map, null for the map alone. */
export const page = signal<Page | null>(null);
/** On a narrow screen, whether the map is shown over the page. */
export const mapOpen = signal(false);
export const overlay = signal<Overlay | null>(null);
/** Collections that are read as of a release that is not the current one. */
export const releases = signal<ReadonlyMap<string, number>>(new Map());
/** The shape that the picked feature had, while its history shows it. */
export const pastShape = signal<GeoJSON.Geometry | null>(null);
/** A change of the overlay that the map was asked about: its id, taken by the page. */
export const pickedChange = signal<number | null>(null);
export const tab = signal<'layers' | 'projects'>('layers');
/** On a narrow screen, whether the panel covers part of the map. */
export const panelOpen = signal(false);
export const picked = signal<Picked | null>(null);
/** Everything under the last click, the picked one included. */
export const under = signal<Picked[]>([]);
/** The picked feature with its geometry, once read. */
export const feature = signal<Feature | null>(null);
export const projectCode = signal<string | null>(null);
export const project = signal<ProjectDetail | null>(null);
/** Geometries of the chosen project's assets. */
export const assetShapes = signal<GeoJSON.Feature[]>([]);
export const notices = signal<Notice[]>([]);
export const mapState = signal<'loading' | 'ready' | 'unsupported'>('loading');
/** A request to the map to show a box, not from further away than a zoom; the map takes it and sets it to null. */
export const flyTo = signal<{ box: Box; atLeast: number } | null>(null);
/** Seconds until the next attempt while the server is away. */
export const retryIn = signal(0);

export const byId = computed(() => new Map((collections.value ?? []).map((c) => [c.id, c])));

/** The zoom from which the core is seen with its parcels. */
export const coreZoom = 13.2;

/** What a map shows first: the city's view, or the parcels when they fill only a part of it; null until the server has said so. */
export const core = computed<Box | null>(() => {
  const view = landing.value?.city.view ?? landing.value?.city.bbox ?? null;
  const parcels = collections.value?.find((c) => themeOf(c).kind === 'landuse')?.extent?.spatial?.bbox?.[0];
  return parcels && view && parcels[2] - parcels[0] < view[2] - view[0] ? parcels : view;
});
/** The extent of the city's divisions, or where its data may lie. */
export const wholeCity = computed<Box | null>(
  () => collections.value?.find((c) => themeOf(c).kind === 'boundary')?.extent?.spatial?.bbox?.[0] ?? landing.value?.city.bbox ?? null,
);

const start: Place = parseHash(location.hash);
/** Whether the reader chose layers; until then the address leaves them out. */
const layersChosen = signal(start.layers !== undefined);
let noticeNumber = 0;

/** Shows an error in the bar, once for each text. */
export function notify(error: unknown): void {
  if (error instanceof RequestError && error.status === 0) return; // the offline bar says it
  const text = error instanceof RequestError ? error.text : { title: error instanceof Error ? error.message : String(error), detail: '' };
  if (notices.value.some((n) => n.title === text.title && n.detail === text.detail)) return;
  notices.value = [...notices.value, { id: ++noticeNumber, ...text }].slice(-4);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}

/** Reads who the caller is and what they may see. Resolves to whether it succeeded; a rejected key is forgotten. */
export async function loadCatalogue(): Promise<boolean> {
  try {
    const [home, list] = await Promise.all([get<Landing>('/?f=json'), get<{ collections: Collection[] }>('/collections')]);
    accept(home, list.collections);
    return true;
  } catch (error) {
    notify(error);
    if (error instanceof RequestError && error.status === 401 && key.value) {
      setKey('');
      return loadCatalogue();
    }
    return false;
  }
}

function accept(home: Landing, list: Collection[]): void {
  batch(() => {
    landing.value = home;
    collections.value = sorted(list);
    if (!layersChosen.value) {
      // Layers that come into sight with a key begin switched off.
      on.value = new Set([...on.value, ...list.filter(onAtFirst).map((c) => c.id)]);
    }
    const ids = new Set(list.map((c) => c.id));
    drawings.value = new Map([...drawings.value].filter(([id]) => ids.has(id)));
    under.value = under.value.filter((p) => ids.has(p.collection));
    if (picked.value && !ids.has(picked.value.collection)) pick([]);
  });
}

/** Tries a key; only one that the server knows is kept. Throws RequestError. */
export async function signIn(candidate: string): Promise<void> {
  const [home, list] = await Promise.all([
    get<Landing>('/?f=json', { key: candidate }),
    get<{ collections: Collection[] }>('/collections', { key: candidate }),
  ]);
  setKey(candidate);
  accept(home, list.collections);
  refreshProject();
}

/** Forgets the key and everything that only its holder may see. */
export async function signOut(): Promise<void> {
  setKey('');
  batch(() => {
    collections.value = (collections.value ?? []).filter((c) => c.sharing === 'public');
    drawings.value = new Map([...drawings.value].filter(([id]) => byId.value.has(id)));
    pick([]);
  });
  await loadCatalogue();
  refreshProject();
}

export function zoomTo(box: Box | null, atLeast = 0): void {
  if (box) flyTo.value = { box, atLeast };
}

/** Shows a box on the map, which on a narrow screen opens over the page first. */
export function showOnMap(box: Box): void {
  mapOpen.value = true;
  requestAnimationFrame(() => zoomTo(box));
}

export function toggle(id: string): void {
  const next = new Set(on.value);
  if (!next.delete(id)) next.add(id);
  layersChosen.value = true;
  on.value = next;
}

/** Picks the first of the features; the others are offered beside it. */
export function pick(features: Picked[]): void {
  batch(() => {
    under.value = features;
    picked.value = features[0] ?? null;
  });
}

/** Goes to a page, or with null to the map alone; the way back leads here. */
export function go(next: Page | null): void {
  const same = next && page.value && formatPage(next) === formatPage(page.value);
  if (same || next === page.value) return;
  const { page: _, ...rest } = here();
  history.pushState(ours, '', formatHash(next ? { page: next, ...rest } : rest));
  batch(() => {
    page.value = next;
    mapOpen.value = false;
    if (next) pick([]);
  });
}

/** Reads a collection as of a release; the current one, or null, is no release in particular. */
export function readAsOf(collection: string, release: number | null): void {
  const next = new Map(releases.value);
  if (release === null || release === byId.value.get(collection)?.release) next.delete(collection);
  else next.set(collection, release);
  batch(() => {
    if (picked.value?.collection === collection) pick([]);
    if (release !== null && !on.value.has(collection)) toggle(collection);
    releases.value = next;
  });
}

/** The query by which a collection is read, "?release=2" or "". */
export function releaseQuery(collection: string): string {
  const n = releases.value.get(collection);
  return n === undefined ? '' : `?release=${n}`;
}

export function openProject(code: string | null): void {
  if (code) go(null);
  batch(() => {
    projectCode.value = code;
    if (code) {
      tab.value = 'projects';
      panelOpen.value = true;
    }
  });
}

let projectRequest: AbortController | null = null;

function refreshProject(): void {
  const code = projectCode.value;
  projectRequest?.abort();
  project.value = null;
  assetShapes.value = [];
  if (!code) return;
  const request = (projectRequest = new AbortController());
  get<ProjectDetail>(`/projects/${encodeURIComponent(code)}`, { signal: request.signal })
    .then(async (p) => {
      project.value = p;
      zoomTo(p.bbox);
      const shapes = await shapesOf(p.assets, request.signal);
      if (!request.signal.aborted) assetShapes.value = shapes;
    })
    .catch((error: unknown) => {
      if (request.signal.aborted) return;
      notify(error);
      projectCode.value = null;
    });
}

/** At most this many assets are drawn in their own shape; the rest as the middle of their box. */
const shapeLimit = 40;

async function shapesOf(assets: Asset[], cancel: AbortSignal): Promise<GeoJSON.Feature[]> {
  let budget = shapeLimit;
  const shapes = await Promise.all(
    assets.map(async (a): Promise<GeoJSON.Feature | null> => {
      const box = a.bbox;
      if (!a.present || !box) return null;
      const properties = { collection: a.collection, fid: a.id };
      const middle: GeoJSON.Feature = { type: 'Feature', properties, geometry: { type: 'Point', coordinates: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2] } };
      if ((box[0] === box[2] && box[1] === box[3]) || !byId.value.has(a.collection) || budget-- <= 0) return middle;
      try {
        const f = await get<Feature>(`/collections/${a.collection}/items/${a.id}`, { signal: cancel });
        return f.geometry ? { type: 'Feature', properties, geometry: f.geometry } : middle;
      } catch {
        return middle; // its row in the project's list leads to the same request, which says why
      }
    }),
  );
  return shapes.filter((s) => s !== null);
}

function watchPicked(): void {
  let request: AbortController | null = null;
  effect(() => {
    const p = picked.value;
    request?.abort();
    feature.value = null;
    if (!p) return;
    const mine = (request = new AbortController());
    pastShape.value = null;
    untracked(() => get<Feature>(`/collections/${p.collection}/items/${p.fid}${releaseQuery(p.collection)}`, { signal: mine.signal }))
      .then((f) => {
        feature.value = f;
      })
      .catch((error: unknown) => {
        if (mine.signal.aborted) return;
        notify(error);
        pick([]);
      });
  });
}

/** As many collections as one style of the API may draw. */
const stylePart = 100;

/** Reads how the collections are drawn, again when one of them has changed. */
function watchStyles(): void {
  let read = '';
  effect(() => {
    const list = collections.value ?? [];
    const wanted = list.map((c) => `${c.id}@${c.revision}`).join();
    if (wanted === read) return;
    read = wanted;
    const failed = (error: unknown) => {
      if (read === wanted) read = ''; // the next catalogue tries again
      notify(error);
    };
    for (let i = 0; i < list.length; i += stylePart) {
      const ids = list.slice(i, i + stylePart).map((c) => c.id);
      untracked(() => get<ServedStyle>(`/styles/default?collections=${ids.join()}`))
        .then((style) => {
          if (read === wanted) draw(style);
        })
        .catch(failed);
    }
  });
}

function draw(style: ServedStyle): void {
  const next = new Map(drawings.value);
  for (const [id, source] of Object.entries(style.sources)) {
    next.set(id, { source, layers: style.layers.filter((l) => 'source' in l && l.source === id), legend: style.metadata['changde:legends'][id] ?? {} });
  }
  const url = style.sprite && local(style.sprite);
  const other = url && url !== sprite.value?.url;
  batch(() => {
    drawings.value = next;
    if (other) sprite.value = { url, index: {} };
  });
  if (!other) return;
  get<Sprite['index']>(`${url.slice(location.origin.length)}.json`)
    .then((index) => {
      sprite.value = { url, index };
    })
    .catch(notify);
}

/** Marks the entries of the browser's history that this page made. */
const ours = { portal: true };

function here(): Place {
  const place: Place = { lang: lang.value };
  if (page.value) place.page = page.value;
  if (view.value) place.view = view.value;
  if (layersChosen.value) place.layers = [...on.value];
  if (releases.value.size > 0) place.releases = Object.fromEntries(releases.value);
  if (picked.value) place.feature = picked.value;
  if (projectCode.value) place.project = projectCode.value;
  return place;
}

function watchHash(): void {
  effect(() => {
    const place = here();
    if (view.value || page.value) history.replaceState(ours, '', formatHash(place));
  });
}

/** Back and forth between pages need no reload; an address that somebody else wrote does. */
function watchHistory(): void {
  window.addEventListener('hashchange', () => {
    if (!history.state?.portal) location.reload();
    else page.value = parseHash(location.hash).page ?? null;
  });
}

const retryAfter = [2, 4, 8, 15, 30];

/** While the server is away, tries again, later each time. */
export async function keepTrying(): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    for (retryIn.value = retryAfter[Math.min(attempt, retryAfter.length - 1)]!; retryIn.value > 0; retryIn.value--) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    if (await loadCatalogue()) return;
  }
}

/** Starts from the address: language, layers, selection, view. */
export async function begin(): Promise<void> {
  setLang(start.lang ?? lang.value);
  if (start.layers) on.value = new Set(start.layers);
  if (start.view) view.value = start.view;
  if (start.page) page.value = start.page;
  if (start.releases) releases.value = new Map(Object.entries(start.releases));
  watchPicked();
  watchStyles();
  effect(() => {
    projectCode.value;
    untracked(refreshProject);
  });
  let trying = false;
  effect(() => {
    if (!offline.value || trying) return;
    trying = true;
    void keepTrying().finally(() => {
      trying = false;
    });
  });
  await loadCatalogue();
  if (start.feature) pick([start.feature]);
  if (start.project) openProject(start.project);
  watchHash();
  watchHistory();
}

/** Whether the address named a view, so that the map keeps it. */
export const startView = start.view ?? null;
