import { effect, signal, untracked } from '@preact/signals';
import { Map as MapLibre, ScaleControl, setWorkerUrl, type MapGeoJSONFeature, type PointLike } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import { aborted, get, key, local, offline, readProblem, RequestError } from './api';
import { t } from './i18n';
import { labelPoint } from './labels';
import { probe } from './probe';
import * as state from './state';
import { buildStyle, changeSource, type Shown } from './style';
import { namedByPoint, namedPolygons, themeOf } from './theme';
import type { Box, Collection, Feature } from './types';

/** Families for labels, which are all drawn from the fonts of the reader's system. */
const fonts = '"Noto Sans SC","Noto Sans CJK SC","Source Han Sans SC","PingFang SC","Microsoft YaHei",sans-serif';

const labels = signal<ReadonlyMap<string, GeoJSON.Feature[]>>(new Map());

/** Draws the map into the element and keeps it in step with the state. Throws when there is no WebGL. */
export function startMap(element: HTMLElement): void {
  setWorkerUrl(workerUrl);
  const map = new MapLibre({
    container: element,
    style: buildStyle({ shown: [], labels: collect([]), selection: collect([]) }),
    localIdeographFontFamily: fonts,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxPitch: 0,
    minZoom: 5,
    maxZoom: 20,
    fadeDuration: 0,
    ...firstView(),
    transformRequest: (url: string) => (key.peek() && url.startsWith(`${location.origin}/`) ? { url, headers: { 'X-API-Key': key.peek() } } : { url }),
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new ScaleControl({ unit: 'metric', maxWidth: 110 }), 'bottom-left');
  if (!state.startView && state.core.peek() && map.getZoom() < state.coreZoom) map.setZoom(state.coreZoom);
  probe.attach(map);

  map.on('error', (e) => void report(e.error as MapFailure));
  map.on('webglcontextlost', () => state.notify(new Error(t('contextLost'))));
  map.on('moveend', () => remember(map));
  map.on('click', (e) => ask(map, e.point));
  map.on('mousemove', (e) => {
    map.getCanvas().style.cursor = hits(map, e.point).some((f) => themeOf(f.collection).kind !== 'boundary') ? 'pointer' : '';
  });
  map.getCanvas().addEventListener('keydown', (e) => {
    if (e.key === 'Enter') ask(map, map.project(map.getCenter()));
  });

  map.once('load', () => {
    state.mapState.value = 'ready';
    remember(map);
    follow(map);
  });
}

function firstView() {
  const at = state.startView;
  if (at) return { center: [at.lon, at.lat] as [number, number], zoom: at.zoom };
  return { bounds: state.core.value ?? hunan, fitBoundsOptions: { padding: 12 } };
}

/** Where a map begins that cannot ask the server where the city is: it moves there when it can. */
const hunan: Box = [108.7, 24.6, 114.3, 30.2];

function follow(map: MapLibre): void {
  effect(() => {
    map.getCanvas().setAttribute('aria-label', t('mapLabel'));
  });
  effect(() => {
    map.setStyle(currentStyle(), { diff: true });
  });
  effect(() => {
    for (const c of state.collections.value ?? []) if (state.on.value.has(c.id)) untracked(() => nameOnce(c));
  });
  effect(() => {
    const wish = state.flyTo.value;
    if (!wish) return;
    state.flyTo.value = null;
    map.resize(); // a page may just have given the map its room
    const camera = map.cameraForBounds(wish.box, { padding: padding(map), maxZoom: 16.5 });
    if (camera) map.easeTo({ ...camera, zoom: Math.max(camera.zoom ?? 0, wish.atLeast), duration: reducedMotion() ? 0 : 600 });
  });
  if (!state.startView && !state.core.peek()) {
    const stop = effect(() => {
      const core = state.core.value;
      if (!core) return;
      map.fitBounds(core, { padding: 12, duration: 0 });
      if (map.getZoom() < state.coreZoom) map.setZoom(state.coreZoom);
      queueMicrotask(() => stop());
    });
  }
  let wasOffline = false;
  effect(() => {
    const away = offline.value;
    if (wasOffline && !away) for (const id of state.drawings.peek().keys()) if (map.getSource(id)) map.refreshTiles(id);
    wasOffline = away;
  });
}

function currentStyle() {
  const shown: Shown[] = [];
  for (const collection of state.collections.value ?? []) {
    const drawing = state.drawings.value.get(collection.id);
    if (!drawing || !state.on.value.has(collection.id)) continue;
    const release = state.releases.value.get(collection.id);
    const address = release === undefined ? local : (href: string) => `${local(href).split('?')[0]}?release=${release}`;
    shown.push({ collection, drawing: { ...drawing, source: { ...drawing.source, tiles: drawing.source.tiles.map(address) } } });
  }
  const selection = [...state.assetShapes.value];
  const f = state.feature.value;
  const shape = state.pastShape.value ?? f?.geometry;
  if (shape) selection.push({ type: 'Feature', properties: {}, geometry: shape });
  const names = [...labels.value].flatMap(([id, features]) => (state.byId.value.has(id) ? features : []));
  const overlay = state.overlay.value;
  if (overlay?.mark) selection.push(overlay.mark);
  return buildStyle({ shown, labels: collect(names), selection: collect(selection), overlay, sprite: state.sprite.value?.url });
}

function collect(features: GeoJSON.Feature[]): GeoJSON.FeatureCollection {
  return { type: 'FeatureCollection', features };
}

const named = new Set<string>();

/** Reads the polygons of a small collection once to place one name in each. */
function nameOnce(c: Collection): void {
  const mark = `${c.id}@${c.revision}`;
  if (!namedByPoint(c) || named.has(mark)) return;
  named.add(mark);
  get<{ features: Feature[] }>(`/collections/${c.id}/items?limit=${namedPolygons}`)
    .then(({ features }) => {
      const points: GeoJSON.Feature[] = [];
      for (const f of features) {
        const at = labelPoint(f.geometry);
        const name = f.properties[c.label];
        if (at && name) points.push({ type: 'Feature', properties: { collection: c.id, name: String(name) }, geometry: { type: 'Point', coordinates: at } });
      }
      labels.value = new Map(labels.value).set(c.id, points);
    })
    .catch((error: unknown) => {
      named.delete(mark);
      state.notify(error);
    });
}

function hits(map: MapLibre, point: { x: number; y: number }): { feature: MapGeoJSONFeature; collection: Collection }[] {
  const reach = 4;
  const box: [PointLike, PointLike] = [
    [point.x - reach, point.y - reach],
    [point.x + reach, point.y + reach],
  ];
  return map.queryRenderedFeatures(box).flatMap((feature) => {
    const collection = state.byId.peek().get(feature.source);
    return collection && typeof feature.id === 'number' ? [{ feature, collection }] : [];
  });
}

/** Picks what lies under a point of the screen: points before lines before areas, the topmost first. A page's changes go before everything. */
function ask(map: MapLibre, point: { x: number; y: number }): void {
  const change = state.overlay.peek() && map.queryRenderedFeatures([[point.x - 3, point.y - 3], [point.x + 3, point.y + 3]]).find((f) => f.source === changeSource);
  if (change && typeof change.id === 'number') {
    state.pickedChange.value = change.id;
    return;
  }
  const rank = { Point: 0, MultiPoint: 0, LineString: 1, MultiLineString: 1 } as Record<string, number>;
  const exact = new Set(map.queryRenderedFeatures([point.x, point.y]).map((f) => `${f.source}/${f.id}`));
  const found = new Map<string, state.Picked & { rank: number }>();
  for (const { feature, collection } of hits(map, point)) {
    const name = `${collection.id}/${feature.id}`;
    const r = rank[feature.geometry.type] ?? 2;
    // The reach is for thin things; an area counts only where it was hit.
    if (found.has(name) || (r === 2 && !exact.has(name))) continue;
    found.set(name, { collection: collection.id, fid: feature.id as number, rank: themeOf(collection).kind === 'boundary' ? 3 : r });
  }
  const ordered = [...found.values()].sort((a, b) => a.rank - b.rank).slice(0, 30);
  state.pick(ordered.map(({ collection, fid }) => ({ collection, fid })));
  if (ordered.length > 0) uncover(map, point);
}

/** Moves the map when the panel that opens would lie over the point. */
function uncover(map: MapLibre, point: { x: number; y: number }): void {
  const { clientHeight: height, clientWidth: width } = map.getCanvas();
  const room = padding(map);
  const dx = Math.max(0, point.x - (width - room.right));
  const dy = Math.max(0, point.y - (height - room.bottom));
  if (dx > 0 || dy > 0) map.panBy([dx, dy], { duration: reducedMotion() ? 0 : 250 });
}

function remember(map: MapLibre): void {
  const { lng, lat } = map.getCenter();
  state.view.value = { zoom: map.getZoom(), lat, lon: lng };
}

/** Leaves room for the panel of a feature, which lies over the map. */
function padding(map: MapLibre): { top: number; bottom: number; left: number; right: number } {
  const picked = state.picked.peek() !== null;
  const wide = window.matchMedia('(min-width: 761px)').matches;
  const { clientHeight: height, clientWidth: width } = map.getCanvas();
  const edge = Math.min(50, width / 10, height / 10);
  return { top: edge, bottom: picked && !wide ? height * 0.55 : edge, left: Math.min(80, width / 5), right: picked && wide ? Math.min(370, width * 0.6) : edge };
}

function reducedMotion(): boolean {
  return window.matchMedia('(prefers-reduced-motion: reduce)').matches;
}

export function zoomBy(delta: number): void {
  const map = probe.map;
  map?.easeTo({ zoom: map.getZoom() + delta, duration: reducedMotion() ? 0 : 250 });
}

interface MapFailure extends Error {
  status?: number;
  body?: Blob;
}

async function report(error: MapFailure): Promise<void> {
  if (aborted(error) || error.name === 'AbortError') return;
  probe.errors.push(String(error.message || error));
  if (error.status) {
    state.notify(new RequestError(error.status, error.body ? await readProblem(error.body) : null));
  } else if (/fetch|network/i.test(error.message)) {
    offline.value = true;
  } else {
    state.notify(new Error(`${t('mapError')}: ${error.message}`));
  }
}
