/** Uploads go in pieces: after a break at most one is sent again. */
export const pieceSize = 8 << 20;

/** The next piece of a file of which the server has the bytes before offset, or null when it has all. An empty file is one empty piece until it was sent. */
export function nextPiece(size: number, offset: number, sent: boolean, piece = pieceSize): { from: number; to: number } | null {
  if (offset >= size && sent) return null;
  return { from: Math.min(offset, size), to: Math.min(size, offset + piece) };
}

/** The part of several files that has arrived, 0 to 1; of nothing but empty files, 1 once all were sent. */
export function sentShare(files: { size: number; sent: number; done: boolean }[]): number {
  const total = files.reduce((sum, f) => sum + f.size, 0);
  if (total === 0) return files.length > 0 && files.every((f) => f.done) ? 1 : 0;
  return Math.min(1, files.reduce((sum, f) => sum + Math.min(f.sent, f.size), 0) / total);
}

export interface Sample {
  at: number; // milliseconds
  bytes: number; // arrived until then
}

/** Seconds until the rest has arrived at the pace of the samples, or null when they do not tell. */
export function secondsLeft(samples: Sample[], total: number): number | null {
  const first = samples[0];
  const last = samples[samples.length - 1];
  if (!first || !last || last.at - first.at < 1000 || last.bytes <= first.bytes) return null;
  const pace = (last.bytes - first.bytes) / (last.at - first.at);
  return (total - last.bytes) / pace / 1000;
}

/** The samples with one more, of the last ten seconds. */
export function addSample(samples: Sample[], sample: Sample): Sample[] {
  return [...samples.filter((s) => sample.at - s.at <= 10_000), sample];
}

/** How long to wait before the nth try after a break, in milliseconds; null to give up until a person says to go on. */
export function retryDelay(tries: number): number | null {
  return tries >= 8 ? null : Math.min(15_000, 500 * 2 ** tries);
}

export interface Known {
  name: string;
  size: number;
  modified: number;
}

/** Whether a file that was chosen again is the one whose upload had begun. */
export function sameFile(known: Known | undefined, file: { name: string; size: number; lastModified: number }): boolean {
  return !known || (known.name === file.name && known.size === file.size && known.modified === file.lastModified);
}
