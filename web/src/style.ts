import type {
  ExpressionSpecification,
  FilterSpecification,
  LayerSpecification,
  SourceSpecification,
  StyleSpecification,
} from 'maplibre-gl';
import { assetSymbols, landUse, places, planning, roads, type Class } from './classes';
import { kindColors, severityColors } from './deliverywords';
import type { Overlay } from './state';
import { themeOf, type Theme } from './theme';
import type { Collection, TileJSON } from './types';

export const paper = '#efeae0';
export const accent = '#d1495b';
const ink = '#22201d';
const water = '#a8d2e8';
const waterEdge = '#7db4d2';
const halo = 'rgba(255,253,248,0.92)';

type Expr = ExpressionSpecification;
/** A layer and its place in the drawing order; lower is further down. */
type Placed = [order: number, layer: LayerSpecification];

export interface Shown {
  collection: Collection;
  tiles: TileJSON;
  visible: boolean;
}

export interface Drawn {
  shown: Shown[];
  /** One point for each named polygon of small polygon collections: properties collection, name. */
  labels: GeoJSON.FeatureCollection;
  /** What is selected, and the assets of the chosen project. */
  selection: GeoJSON.FeatureCollection;
  /** What a page shows over the layers, which are drawn paler then. */
  overlay?: Overlay | null;
}

/** Source ids of the portal's own GeoJSON sources; collection ids cannot begin with a dash. */
export const labelSource = '-labels';
export const selectionSource = '-selection';
export const changeSource = '-changes';
export const findingSource = '-findings';

/** Builds the whole style. There are no glyphs and no sprite: every label is drawn from the system's fonts. */
export function buildStyle(drawn: Drawn): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {
    [labelSource]: { type: 'geojson', data: drawn.labels },
    [selectionSource]: { type: 'geojson', data: drawn.selection },
  };
  const placed: Placed[] = [[0, { id: '-paper', type: 'background', paint: { 'background-color': paper } }], ...selectionLayers()];
  for (const { collection, tiles, visible } of drawn.shown) {
    sources[collection.id] = {
      type: 'vector',
      tiles: tiles.tiles,
      minzoom: tiles.minzoom ?? 0,
      maxzoom: tiles.maxzoom ?? 14,
      ...(tiles.bounds ? { bounds: tiles.bounds } : {}),
    };
    for (const [order, layer] of collectionLayers(collection)) {
      placed.push([order, { ...layer, layout: { ...layer.layout, visibility: visible ? 'visible' : 'none' } } as LayerSpecification]);
    }
  }
  if (drawn.overlay) {
    if (drawn.overlay.changes) sources[changeSource] = { type: 'vector', tiles: [drawn.overlay.changes], minzoom: 0, maxzoom: 18 };
    sources[findingSource] = { type: 'geojson', data: drawn.overlay.findings };
    placed.push(...overlayLayers(drawn.overlay.changes !== null));
  }
  return {
    version: 8,
    transition: { duration: 0, delay: 0 },
    sources,
    layers: placed
      .map((entry, i) => ({ entry, i }))
      .sort((a, b) => a.entry[0] - b.entry[0] || a.i - b.i)
      .map(({ entry }) => entry[1]),
  };
}

/** The layers of one collection. Their ids are the collection's id, a colon and a part. */
export function collectionLayers(c: Collection): Placed[] {
  const theme = themeOf(c);
  switch (theme.kind) {
    case 'boundary':
      return boundary(c);
    case 'places':
      return placeNames(c);
    case 'water':
      return waters(c);
    case 'roads':
      return roadLines(c);
    case 'buildings':
      return buildings(c);
    case 'landuse':
      return classed(c, landUse, 10, 1, 16.5);
    case 'planning':
      return classed(c, planning, 16, 0.9, 15);
    case 'symbol':
      return symbols(c, theme);
    case 'generic':
      return generic(c, theme.color);
  }
}

const inTiles = (c: Collection) => ({ source: c.id, 'source-layer': c.id });
const polygons: FilterSpecification = ['==', ['geometry-type'], 'Polygon'];
const lines: FilterSpecification = ['==', ['geometry-type'], 'LineString'];
const points: FilterSpecification = ['==', ['geometry-type'], 'Point'];
const text = (field: string): Expr => ['to-string', ['get', field]];

/** A number that grows with the zoom by the given stops. */
function grow(...stops: [zoom: number, value: number | Expr][]): Expr {
  return ['interpolate', ['exponential', 1.5], ['zoom'], ...stops.flat()] as unknown as Expr;
}

/** The colour of the class one of whose codes the field begins with; a longer code goes before a shorter. */
export function byPrefix(field: string, classes: Class[], fallback: string): Expr | string {
  if (!field) return fallback;
  const codes = classes.flatMap((k) => k.codes.map((code) => ({ code, color: k.color })));
  let rest: Expr | string = fallback;
  for (const length of [...new Set(codes.map((k) => k.code.length))].sort((a, b) => a - b)) {
    const branches = codes.filter((k) => k.code.length === length).flatMap((k) => [k.code, k.color]);
    rest = ['match', ['slice', ['upcase', text(field)], 0, length], ...branches, rest] as unknown as Expr;
  }
  return rest;
}

/** The value of the first class one of whose codes is a part of the field; the class without codes is the rest. */
export function byPart<C extends Class, V extends string | number>(field: string, classes: C[], of: (c: C) => V): Expr | V {
  const rest = of(classes[classes.length - 1]!);
  if (!field) return rest;
  const branches = classes
    .filter((k) => k.codes.length > 0)
    .flatMap((k) => [['any', ...k.codes.map((code) => ['in', code, ['downcase', text(field)]])], of(k)]);
  return ['case', ...branches, rest] as unknown as Expr;
}

/** The value of the class that has the field's value among its codes; the class without codes is the rest. */
function byCode<C extends Class, V extends string | number>(field: string, classes: C[], of: (c: C) => V): Expr | V {
  const rest = of(classes[classes.length - 1]!);
  if (!field) return rest;
  const branches = classes.filter((k) => k.codes.length > 0).flatMap((k) => [k.codes, of(k)]);
  return ['match', text(field), ...branches, rest] as unknown as Expr;
}

function boundary(c: Collection): Placed[] {
  const tints = ['#fbf7ee', '#f7f5e9', '#faf3ea', '#f5f5ec', '#f9f4f1'];
  return [
    [5, {
      id: `${c.id}:fill`, type: 'fill', ...inTiles(c),
      paint: { 'fill-color': ['match', ['%', ['to-number', ['id']], 5], 0, tints[0]!, 1, tints[1]!, 2, tints[2]!, 3, tints[3]!, tints[4]!], 'fill-antialias': false },
    }],
    [34, {
      id: `${c.id}:band`, type: 'line', ...inTiles(c), layout: { 'line-join': 'round' },
      paint: { 'line-color': '#a9789f', 'line-opacity': 0.13, 'line-width': grow([6, 2], [10, 6], [14, 11]) },
    }],
    [35, {
      id: `${c.id}:line`, type: 'line', ...inTiles(c), layout: { 'line-join': 'round' },
      paint: { 'line-color': '#9a7b94', 'line-width': grow([6, 0.5], [9, 0.9], [14, 1.8]), 'line-dasharray': [5, 2, 1, 2] },
    }],
    [76, {
      id: `${c.id}:names`, type: 'symbol', source: labelSource, maxzoom: 11,
      filter: ['==', ['get', 'collection'], c.id],
      layout: {
        'text-field': ['get', 'name'], 'text-size': grow([6, 12], [8, 16], [10.5, 24]),
        'text-letter-spacing': 0.25, 'text-padding': 4,
      },
      paint: { 'text-color': '#7b5f78', 'text-halo-color': halo, 'text-halo-width': 1.6, 'text-opacity': ['interpolate', ['linear'], ['zoom'], 10, 1, 11, 0.25] },
    }],
  ];
}

function placeNames(c: Collection): Placed[] {
  const from = byCode(c.class, places, (k) => k.from);
  const shown: FilterSpecification = ['>=', ['zoom'], from as number];
  const size = byCode(c.class, places, (k) => k.size);
  const color = byCode(c.class, places, (k) => k.color) as string;
  const layers: Placed[] = [
    [50, {
      id: `${c.id}:dot`, type: 'circle', ...inTiles(c), filter: shown,
      paint: {
        'circle-color': '#fffdf8', 'circle-stroke-color': color,
        'circle-radius': grow([8, ['*', 0.14, size] as Expr], [14, ['*', 0.24, size] as Expr]), 'circle-stroke-width': 1.4,
      },
    }],
  ];
  if (c.label) {
    layers.push([75, {
      id: `${c.id}:names`, type: 'symbol', ...inTiles(c), filter: shown,
      layout: {
        'text-field': text(c.label), 'text-size': ['interpolate', ['linear'], ['zoom'], 8, ['*', 0.86, size], 13, size],
        'text-variable-anchor': ['left', 'right', 'top', 'bottom'], 'text-radial-offset': 0.55, 'text-justify': 'auto',
        'symbol-sort-key': ['-', 0, size], 'text-padding': 3,
      },
      paint: { 'text-color': color, 'text-halo-color': halo, 'text-halo-width': 1.5 },
    }]);
  }
  return layers;
}

function waters(c: Collection): Placed[] {
  // Levels of rivers run from 1, the greatest; what has no level is of the middle.
  const level: Expr = ['max', 1, ['min', 8, ['to-number', c.class ? ['get', c.class] : 3, 3]]];
  const width: Expr = ['max', 0.7, ['-', 3.6, ['*', 0.6, level]]];
  const layers: Placed[] = [
    [20, { id: `${c.id}:fill`, type: 'fill', ...inTiles(c), filter: polygons, paint: { 'fill-color': water } }],
    [21, { id: `${c.id}:edge`, type: 'line', ...inTiles(c), filter: polygons, paint: { 'line-color': waterEdge, 'line-width': 0.8 } }],
    [22, {
      id: `${c.id}:line`, type: 'line', ...inTiles(c), filter: lines, layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': '#86bcdb', 'line-opacity': ['interpolate', ['linear'], ['zoom'], 12, 1, 15, 0.35], 'line-width': grow([6, ['*', 0.5, width] as Expr], [10, width], [14, ['*', 2.6, width] as Expr], [18, ['*', 7, width] as Expr]) },
    }],
  ];
  if (c.label) {
    const layout = { 'text-field': text(c.label), 'text-size': 12, 'text-letter-spacing': 0.3 };
    const paint = { 'text-color': '#3f7fa6', 'text-halo-color': 'rgba(240,248,252,0.9)', 'text-halo-width': 1.3 };
    layers.push([72, { id: `${c.id}:names`, type: 'symbol', ...inTiles(c), filter: lines, layout: { ...layout, 'symbol-placement': 'line', 'symbol-spacing': 380 }, paint }]);
    layers.push([72, { id: `${c.id}:area-names`, type: 'symbol', source: labelSource, filter: ['==', ['get', 'collection'], c.id], layout: { ...layout, 'text-field': ['get', 'name'] }, paint }]);
  }
  return layers;
}

function roadLines(c: Collection): Placed[] {
  const width = byPart(c.class, roads, (k) => k.width);
  const color = byPart(c.class, roads, (k) => k.color) as string;
  const shown: FilterSpecification = ['>=', ['zoom'], byPart(c.class, roads, (k) => k.from) as number];
  const wide = (plus: number) =>
    grow([6, ['+', plus * 0.3, ['*', 0.35, width]] as Expr], [10, ['+', plus * 0.7, ['*', 0.75, width]] as Expr], [14, ['+', plus, ['*', 2.6, width]] as Expr], [18, ['+', plus * 1.5, ['*', 11, width]] as Expr]);
  const layout = { 'line-cap': 'round', 'line-join': 'round', 'line-sort-key': width } as const;
  const layers: Placed[] = [
    [30, { id: `${c.id}:casing`, type: 'line', ...inTiles(c), filter: shown, layout: layout as object, paint: { 'line-color': '#b8a688', 'line-width': wide(1.4), 'line-opacity': ['interpolate', ['linear'], ['zoom'], 8, 0.5, 12, 0.95] } }],
    [31, { id: `${c.id}:line`, type: 'line', ...inTiles(c), filter: shown, layout: layout as object, paint: { 'line-color': color, 'line-width': wide(0) } }],
  ];
  if (c.label) {
    layers.push([70, {
      id: `${c.id}:names`, type: 'symbol', ...inTiles(c), minzoom: 12.5, filter: shown,
      layout: { 'text-field': text(c.label), 'symbol-placement': 'line', 'text-size': grow([12, 10.5], [16, 13]), 'symbol-spacing': 320, 'text-max-angle': 30, 'text-padding': 6, 'symbol-sort-key': ['-', 0, width] },
      paint: { 'text-color': '#6b5a41', 'text-halo-color': halo, 'text-halo-width': 1.4 },
    }]);
  }
  return layers;
}

function buildings(c: Collection): Placed[] {
  return [
    [28, { id: `${c.id}:fill`, type: 'fill', ...inTiles(c), paint: { 'fill-color': '#d8cdbf', 'fill-opacity': ['interpolate', ['linear'], ['zoom'], 13, 0.7, 15, 0.95] } }],
    [29, { id: `${c.id}:edge`, type: 'line', ...inTiles(c), minzoom: 14.5, paint: { 'line-color': '#ab9d8b', 'line-width': 0.7 } }],
  ];
}

function classed(c: Collection, classes: Class[], order: number, opacity: number, labelsFrom: number): Placed[] {
  const layers: Placed[] = [
    [order, { id: `${c.id}:fill`, type: 'fill', ...inTiles(c), paint: { 'fill-color': byPrefix(c.class, classes, '#e6dfd2') as string, 'fill-opacity': opacity } }],
    [order + 1, {
      id: `${c.id}:edge`, type: 'line', ...inTiles(c), minzoom: 12,
      paint: {
        'line-color': byPrefix(c.class, [{ ...landUse.find((k) => k.color === water)!, color: waterEdge }], '#7a6a50') as string,
        'line-opacity': ['interpolate', ['linear'], ['zoom'], 12.5, 0, 14, 0.16, 16, 0.4], 'line-width': grow([12, 0.4], [16, 1]),
      },
    }],
  ];
  if (c.label) {
    layers.push([68, {
      id: `${c.id}:names`, type: 'symbol', ...inTiles(c), minzoom: labelsFrom,
      layout: { 'text-field': text(c.label), 'text-size': 11, 'text-max-width': 6, 'text-padding': 14 },
      paint: { 'text-color': '#6a5f4e', 'text-halo-color': 'rgba(255,253,248,0.75)', 'text-halo-width': 1.2 },
    }]);
  }
  return layers;
}

function symbols(c: Collection, theme: Extract<Theme, { kind: 'symbol' }>): Placed[] {
  const of = (part: 'color' | 'glyph'): string =>
    c.id === 'assets' && c.class
      ? (['match', text(c.class), ...Object.entries(assetSymbols).flatMap(([type, symbol]) => [type, symbol[part]]), theme.symbol[part]] as unknown as string)
      : theme.symbol[part];
  const color = of('color');
  const glyph = of('glyph');
  const layers: Placed[] = [
    ...shape(c, color, 40, 0.14),
    [54, {
      id: `${c.id}:point`, type: 'circle', ...inTiles(c), filter: points,
      paint: {
        'circle-color': color, 'circle-stroke-color': '#fffdf8', 'circle-radius': grow([8, 2.4], [11, 3.6], [13, 7.5], [16, 10]),
        'circle-stroke-width': grow([8, 0.6], [13, 1.5]),
      },
    }],
    [80, {
      id: `${c.id}:glyph`, type: 'symbol', ...inTiles(c), filter: points, minzoom: 12.8,
      layout: { 'text-field': glyph, 'text-size': grow([12.8, 9], [16, 12.5]), 'text-allow-overlap': true, 'text-ignore-placement': true },
      paint: { 'text-color': '#ffffff' },
    }],
  ];
  if (c.label) {
    layers.push([79, {
      id: `${c.id}:names`, type: 'symbol', ...inTiles(c), filter: points, minzoom: 14.5,
      layout: { 'text-field': text(c.label), 'text-size': 11.5, 'text-anchor': 'top', 'text-offset': [0, 1], 'text-max-width': 9, 'text-optional': true },
      paint: { 'text-color': color, 'text-halo-color': halo, 'text-halo-width': 1.5 },
    }]);
  }
  return layers;
}

function generic(c: Collection, color: string): Placed[] {
  const layers: Placed[] = [
    ...shape(c, color, 14, 0.3),
    [52, {
      id: `${c.id}:point`, type: 'circle', ...inTiles(c), filter: points,
      paint: { 'circle-color': color, 'circle-stroke-color': '#fffdf8', 'circle-radius': grow([8, 2.2], [14, 5.5]), 'circle-stroke-width': 1 },
    }],
  ];
  if (c.label) {
    layers.push([71, {
      id: `${c.id}:names`, type: 'symbol', ...inTiles(c), minzoom: 13.5,
      layout: { 'text-field': text(c.label), 'text-size': 11.5, 'text-max-width': 8, 'text-padding': 6, 'text-variable-anchor': ['center', 'top', 'bottom'], 'text-radial-offset': 0.7 },
      paint: { 'text-color': color, 'text-halo-color': halo, 'text-halo-width': 1.5 },
    }]);
  }
  return layers;
}

/** Polygons and lines in one colour, for collections whose geometry may be of any type. */
function shape(c: Collection, color: string, order: number, opacity: number): Placed[] {
  return [
    [order, { id: `${c.id}:fill`, type: 'fill', ...inTiles(c), filter: polygons, paint: { 'fill-color': color, 'fill-opacity': opacity } }],
    [order + 1, { id: `${c.id}:edge`, type: 'line', ...inTiles(c), filter: polygons, paint: { 'line-color': color, 'line-width': 1.2 } }],
    [order + 2, { id: `${c.id}:under`, type: 'line', ...inTiles(c), filter: lines, layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': '#fffdf8', 'line-width': grow([8, 2], [14, 5]) } }],
    [order + 3, { id: `${c.id}:line`, type: 'line', ...inTiles(c), filter: lines, layout: { 'line-cap': 'round', 'line-join': 'round' }, paint: { 'line-color': color, 'line-width': grow([8, 1], [14, 2.6]) } }],
  ];
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
