import { expect, test } from 'vitest';
import { eventSplitter } from './api';

function read(...pieces: string[]): string[] {
  const seen: string[] = [];
  const split = eventSplitter((data) => seen.push(data));
  pieces.forEach(split);
  return seen;
}

test('events come whole however they are cut', () => {
  const stream = ': \n\ndata: {"state":"loading"}\n\nevent: x\ndata: a\ndata:b\n\ndata: last\n\n';
  const want = ['{"state":"loading"}', 'a\nb', 'last'];
  expect(read(stream)).toEqual(want);
  expect(read(...stream)).toEqual(want);
  expect(read(stream.replaceAll('\n', '\r\n'))).toEqual(want);
});

test('an event without its end is none', () => {
  expect(read('data: a\n')).toEqual([]);
});
