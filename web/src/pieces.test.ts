import { describe, expect, test } from 'vitest';
import { addSample, nextPiece, pieceSize, retryDelay, sameFile, secondsLeft, sentShare } from './pieces';

describe('pieces', () => {
  test('cover a file once and in order', () => {
    const size = 2 * pieceSize + 17;
    const seen: number[] = [];
    for (let offset = 0, sent = false; ; sent = true) {
      const piece = nextPiece(size, offset, sent);
      if (!piece) break;
      expect(piece.from).toBe(offset);
      seen.push(piece.to - piece.from);
      offset = piece.to;
    }
    expect(seen).toEqual([pieceSize, pieceSize, 17]);
  });

  test('go on where the server is', () => {
    expect(nextPiece(100, 60, false, 30)).toEqual({ from: 60, to: 90 });
    expect(nextPiece(100, 100, true, 30)).toBeNull();
  });

  test('of an empty file are one, so that the server has it', () => {
    expect(nextPiece(0, 0, false)).toEqual({ from: 0, to: 0 });
    expect(nextPiece(0, 0, true)).toBeNull();
  });
});

test('the part that has arrived', () => {
  const file = (size: number, sent: number, done = sent === size) => ({ size, sent, done });
  expect(sentShare([file(100, 50), file(300, 0)])).toBe(0.125);
  expect(sentShare([file(100, 120)])).toBe(1);
  expect(sentShare([file(0, 0, false)])).toBe(0);
  expect(sentShare([file(0, 0, true)])).toBe(1);
  expect(sentShare([])).toBe(0);
});

test('the time that is left follows the last ten seconds', () => {
  let samples = [{ at: 0, bytes: 0 }];
  expect(secondsLeft(samples, 1000)).toBeNull();
  samples = addSample(samples, { at: 2000, bytes: 200 });
  expect(secondsLeft(samples, 1000)).toBeCloseTo(8);
  samples = addSample(samples, { at: 11_000, bytes: 650 });
  expect(samples.map((s) => s.at)).toEqual([2000, 11_000]);
  expect(secondsLeft(samples, 1000)).toBeCloseTo(7);
  expect(secondsLeft([{ at: 0, bytes: 5 }, { at: 5000, bytes: 5 }], 10)).toBeNull();
});

test('tries again later each time and gives up', () => {
  const waits = Array.from({ length: 9 }, (_, i) => retryDelay(i));
  expect(waits.slice(0, 3)).toEqual([500, 1000, 2000]);
  expect(Math.max(...waits.slice(0, 8).map(Number))).toBe(15_000);
  expect(waits[8]).toBeNull();
});

test('a file chosen again is known by size and time', () => {
  const known = { name: 'a.zip', size: 5, modified: 7 };
  expect(sameFile(known, { name: 'a.zip', size: 5, lastModified: 7 })).toBe(true);
  expect(sameFile(known, { name: 'a.zip', size: 6, lastModified: 7 })).toBe(false);
  expect(sameFile(undefined, { name: 'b.zip', size: 6, lastModified: 7 })).toBe(true);
});
