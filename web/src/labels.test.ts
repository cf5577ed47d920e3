import { expect, test } from 'vitest';
import { boxOf, labelPoint } from './labels';

const square = (x: number, y: number, size: number) => [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]];

test('the name of a square is in its middle', () => {
  const [x, y] = labelPoint({ type: 'Polygon', coordinates: [square(10, 0, 1)] })!;
  expect(x).toBeCloseTo(10.5, 1);
  expect(y).toBeCloseTo(0.5, 1);
});

test('the name is in the largest part and not in a hole', () => {
  const [x, y] = labelPoint({ type: 'MultiPolygon', coordinates: [[square(0, 0, 1)], [square(10, 0, 4), square(10.5, 0.5, 3)]] })!;
  expect(x).toBeGreaterThan(10);
  expect(x > 10.5 && x < 13.5 && y > 0.5 && y < 3.5).toBe(false);
});

test('a crescent has its name inside, where its centroid is not', () => {
  const ring = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 3], [3, 3], [3, 1], [0, 1], [0, 0]];
  const [x, y] = labelPoint({ type: 'Polygon', coordinates: [ring] })!;
  expect(x > 3 || y < 1 || y > 3).toBe(true);
});

test('what has no area has no name', () => {
  expect(labelPoint(null)).toBeNull();
  expect(labelPoint({ type: 'Point', coordinates: [1, 2] })).toBeNull();
  expect(labelPoint({ type: 'Polygon', coordinates: [] })).toBeNull();
  expect(labelPoint({ type: 'Polygon', coordinates: [[[1, 1], [1, 1], [1, 1], [1, 1]]] })).toBeNull();
});

test('boxes', () => {
  expect(boxOf({ type: 'Point', coordinates: [111, 29] })).toEqual([111, 29, 111, 29]);
  expect(boxOf({ type: 'MultiPolygon', coordinates: [[square(1, 2, 3)], [square(10, 0, 1)]] })).toEqual([1, 0, 11, 5]);
  expect(boxOf({ type: 'GeometryCollection', geometries: [{ type: 'Point', coordinates: [1, 9] }, { type: 'LineString', coordinates: [[5, 5], [7, 8]] }] })).toEqual([1, 5, 7, 9]);
  expect(boxOf({ type: 'MultiPoint', coordinates: [] })).toBeNull();
});
