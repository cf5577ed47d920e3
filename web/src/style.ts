import type { ExpressionSpecification, FilterSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { kindColors, severityColors } from './deliverywords';
import type { Overlay } from './state';
import { namedByPoint, themeOf } from './theme';
import type { Collection, Drawing } from './types';

export const paper = '#efeae0';
export const accent = '#d1495b';
const ink = '#22201d';

type Expr = ExpressionSpecification;
/** A layer and its place in the drawing order; lower is further down. */
type Placed = [order: number, layer: LayerSpecification];

export interface Shown {
  collection: Collection;
  drawing: Drawing;
}

export interface Drawn {
  shown: Shown[];
  /** One point for each named polygon of small polygon collections: properties collection, name. */
  labels: GeoJSON.FeatureCollection;
  /** What is selected, and the assets of the chosen project. */
  selection: GeoJSON.FeatureCollection;
  /** What a page shows over the layers, which are drawn paler then. */
  overlay?: Overlay | null;
  /** Address of the sheet of icons, or none. */
  sprite?: string;
}

/** Source ids of the portal's own GeoJSON sources; collection ids cannot begin with a dash. */
export const labelSource = '-labels';
export const selectionSource = '-selection';
export const changeSource = '-changes';
export const findingSource = '-findings';

/** Builds the whole style, of what the API says of collections and of what pages put over it. There are no glyphs: every label is drawn from the system's fonts. */
export function buildStyle(drawn: Drawn): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {
    [labelSource]: { type: 'geojson', data: drawn.labels },
    [selectionSource]: { type: 'geojson', data: drawn.selection },
  };
  const placed: Placed[] = [[0, { id: '-paper', type: 'background', paint: { 'background-color': paper } }], ...selectionLayers()];
  for (const { collection, drawing } of drawn.shown) {
    sources[collection.id] = drawing.source;
    for (const layer of drawing.layers) placed.push([orderOf(layer), withNames(collection, layer)]);
  }
  if (drawn.overlay) {
    if (drawn.overlay.changes) sources[changeSource] = { type: 'vector', tiles: [drawn.overlay.changes], minzoom: 0, maxzoom: 18 };
    sources[findingSource] = { type: 'geojson', data: drawn.overlay.findings };
    placed.push(...overlayLayers(drawn.overlay.changes !== null));
  }
  return {
    version: 8,
    transition: { duration: 0, delay: 0 },
    ...(drawn.sprite ? { sprite: drawn.sprite } : {}),
    sources,
    layers: placed
      .map((entry, i) => ({ entry, i }))
      .sort((a, b) => a.entry[0] - b.entry[0] || a.i - b.i)
      .map(({ entry }) => entry[1]),
  };
}

function orderOf(layer: LayerSpecification): number {
  return (layer.metadata as { 'changde:order'?: number } | undefined)?.['changde:order'] ?? 0;
}

/** Writes the names of areas at the points that were found for them: a tile names each of its pieces. */
function withNames(c: Collection, layer: LayerSpecification): LayerSpecification {
  const district = themeOf(c).kind === 'boundary';
  const names = `${c.id}:${district ? 'names' : 'area-names'}`;
  if (layer.type !== 'symbol' || layer.id !== names || !namedByPoint(c)) return layer;
  const { 'source-layer': _, ...rest } = layer;
  return {
    ...rest, ...(district ? { maxzoom: 11.5 } : {}), source: labelSource, filter: ['==', ['get', 'collection'], c.id],
    layout: { ...layer.layout, 'text-field': ['get', 'name'], 'text-padding': 4 },
  };
}

const polygons: FilterSpecification = ['==', ['geometry-type'], 'Polygon'];
const points: FilterSpecification = ['==', ['geometry-type'], 'Point'];

/** A number that grows with the zoom by the given stops. */
function grow(...stops: [zoom: number, value: number | Expr][]): Expr {
  return ['interpolate', ['exponential', 1.5], ['zoom'], ...stops.flat()] as unknown as Expr;
}

function selectionLayers(): Placed[] {
  const source = selectionSource;
  // What a page picks is ink, so that it is none of the colours of the changes.
  const color: Expr = ['case', ['has', 'ink'], ink, accent];
  return [
    [60, { id: '-selected-fill', type: 'fill', source, filter: polygons, paint: { 'fill-color': color, 'fill-opacity': 0.18 } }],
    [61, { id: '-selected-under', type: 'line', source, filter: ['!=', ['geometry-type'], 'Point'], layout: { 'line-join': 'round' }, paint: { 'line-color': '#fffdf8', 'line-width': 5, 'line-opacity': 0.85 } }],
    [62, { id: '-selected-line', type: 'line', source, filter: ['!=', ['geometry-type'], 'Point'], layout: { 'line-join': 'round' }, paint: { 'line-color': color, 'line-width': 2.6 } }],
    [63, { id: '-selected-point', type: 'circle', source, filter: points, paint: { 'circle-color': color, 'circle-opacity': 0.2, 'circle-radius': grow([8, 9], [14, 16]), 'circle-stroke-color': color, 'circle-stroke-width': 2.4 } }],
  ];
}

/** Changes in three colours, removals dashed, findings as points by severity, over a veil that takes the layers back. */
function overlayLayers(changes: boolean): Placed[] {
  const tiles = { source: changeSource, 'source-layer': 'changes' };
  const color = ['match', ['get', 'kind'], ...Object.entries(kindColors).flat(), '#555555'] as unknown as string;
  const kind = (is: '==' | '!='): FilterSpecification => ['all', ['!=', ['geometry-type'], 'Point'], [is, ['get', 'kind'], 'removed']];
  const edge = grow([8, 1.4], [12, 2], [16, 3]);
  const layers: Placed[] = [[56, { id: '-veil', type: 'background', paint: { 'background-color': paper, 'background-opacity': 0.45 } }]];
  if (changes) {
    layers.push(
      [57, { id: '-changes-fill', type: 'fill', ...tiles, filter: polygons, paint: { 'fill-color': color, 'fill-opacity': 0.38 } }],
      [58, { id: '-changes-edge', type: 'line', ...tiles, filter: kind('!='), layout: { 'line-join': 'round' }, paint: { 'line-color': color, 'line-width': edge } }],
      [58, { id: '-changes-gone', type: 'line', ...tiles, filter: kind('=='), paint: { 'line-color': color, 'line-width': edge, 'line-dasharray': [2, 1.5] } }],
      [59, {
        id: '-changes-point', type: 'circle', ...tiles, filter: points,
        paint: { 'circle-color': color, 'circle-opacity': ['match', ['get', 'kind'], 'removed', 0.25, 0.9], 'circle-radius': grow([8, 3.5], [14, 7]), 'circle-stroke-color': color, 'circle-stroke-width': 2 },
      }],
    );
  }
  const severity = ['match', ['get', 'severity'], ...Object.entries(severityColors).flat(), '#555555'] as unknown as string;
  layers.push([64, {
    id: '-findings-point', type: 'circle', source: findingSource,
    paint: { 'circle-color': '#fffdf8', 'circle-radius': grow([8, 3], [14, 5.5]), 'circle-stroke-color': severity, 'circle-stroke-width': grow([8, 2], [14, 3.5]) },
  }]);
  return layers;
}
