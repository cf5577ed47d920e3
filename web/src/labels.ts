import type { Box } from './types';

type Ring = number[][];

/**
 * A point inside a polygon as far from its edge as a grid search finds, where a
 * name sits well: [longitude, latitude]. Of several polygons the largest is taken.
 * Null for other geometries and for polygons without area.
 */
export function labelPoint(geometry: GeoJSON.Geometry | null): [number, number] | null {
  if (!geometry) return null;
  const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.type === 'MultiPolygon' ? geometry.coordinates : [];
  let largest: Ring[] | null = null;
  let size = 0;
  for (const polygon of polygons) {
    const a = polygon[0] ? Math.abs(area(polygon[0])) : 0;
    if (a > size) {
      size = a;
      largest = polygon;
    }
  }
  return largest ? deepest(largest) : null;
}

/** Twice halves the step around the best cell of a 12 × 12 grid. Degrees of longitude count less away from the equator. */
function deepest(polygon: Ring[]): [number, number] | null {
  const [w, s, e, n] = ringBox(polygon[0]!);
  const shrink = Math.cos((((s + n) / 2) * Math.PI) / 180);
  let best: [number, number] | null = null;
  let depth = 0;
  let [x0, y0, x1, y1] = [w, s, e, n];
  for (let round = 0; round < 3; round++) {
    const dx = (x1 - x0) / 12;
    const dy = (y1 - y0) / 12;
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 12; j++) {
        const x = x0 + (i + 0.5) * dx;
        const y = y0 + (j + 0.5) * dy;
        if (!inside(polygon, x, y)) continue;
        const d = distance(polygon, x, y, shrink);
        if (d > depth) {
          depth = d;
          best = [x, y];
        }
      }
    }
    if (!best) return null;
    [x0, y0, x1, y1] = [best[0] - dx, best[1] - dy, best[0] + dx, best[1] + dy];
  }
  return best;
}

function area(ring: Ring): number {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    sum += ring[j]![0]! * ring[i]![1]! - ring[i]![0]! * ring[j]![1]!;
  }
  return sum / 2;
}

function ringBox(ring: Ring): Box {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const p of ring) {
    box[0] = Math.min(box[0], p[0]!);
    box[1] = Math.min(box[1], p[1]!);
    box[2] = Math.max(box[2], p[0]!);
    box[3] = Math.max(box[3], p[1]!);
  }
  return box;
}

/** Even-odd rule over all rings, so that holes are outside. */
function inside(polygon: Ring[], x: number, y: number): boolean {
  let odd = false;
  for (const ring of polygon) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi, xj, yj] = [ring[i]![0]!, ring[i]![1]!, ring[j]![0]!, ring[j]![1]!];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) odd = !odd;
    }
  }
  return odd;
}

function distance(polygon: Ring[], x: number, y: number, shrink: number): number {
  let least = Infinity;
  for (const ring of polygon) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const ax = (ring[j]![0]! - x) * shrink;
      const ay = ring[j]![1]! - y;
      const bx = (ring[i]![0]! - x) * shrink - ax;
      const by = ring[i]![1]! - y - ay;
      const length = bx * bx + by * by;
      const u = length === 0 ? 0 : Math.max(0, Math.min(1, -(ax * bx + ay * by) / length));
      least = Math.min(least, (ax + u * bx) ** 2 + (ay + u * by) ** 2);
    }
  }
  return least;
}

/** The box of a geometry, or null when it holds no position. */
export function boxOf(geometry: GeoJSON.Geometry): Box | null {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  const visit = (node: unknown): void => {
    if (!Array.isArray(node)) return;
    if (typeof node[0] === 'number' && typeof node[1] === 'number') {
      box[0] = Math.min(box[0], node[0]);
      box[1] = Math.min(box[1], node[1]);
      box[2] = Math.max(box[2], node[0]);
      box[3] = Math.max(box[3], node[1]);
      return;
    }
    node.forEach(visit);
  };
  if (geometry.type === 'GeometryCollection') {
    for (const part of geometry.geometries) {
      const b = boxOf(part);
      if (b) visit([[b[0], b[1]], [b[2], b[3]]]);
    }
  } else {
    visit(geometry.coordinates);
  }
  return box[0] <= box[2] ? box : null;
}
