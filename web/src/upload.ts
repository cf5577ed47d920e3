import { signal } from '@preact/signals';
import { get, key, local, post, readProblem, RequestError } from './api';
import type { Delivery } from './deliverytypes';
import type { Problem } from './types';
import { addSample, nextPiece, retryDelay, sameFile, secondsLeft, sentShare, type Known, type Sample } from './pieces';

export type FileState = 'waiting' | 'sending' | 'done' | 'failed';

/** A file on its way, as a row of the page. */
export interface Sending {
  name: string;
  size: number;
  sent: number;
  state: FileState;
  error: RequestError | null;
}

export type UploadState = 'sending' | 'paused' | 'broken' | 'refused' | 'submitting' | 'submitted';

/**
 * The files of one delivery on their way to the server: one after the other, in
 * pieces. A break is waited out and the server asked how far it came; pause keeps
 * what has arrived. When all files are there the delivery is submitted.
 */
export class Upload {
  readonly rows = signal<Sending[]>([]);
  readonly state = signal<UploadState>('sending');
  /** Why the delivery could not be submitted, or the upload ended. */
  readonly error = signal<RequestError | null>(null);
  readonly left = signal<number | null>(null);
  private readonly files: File[];
  private offsets: (number | null)[];
  private xhr: XMLHttpRequest | null = null;
  private samples: Sample[] = [];
  private working = false;

  /** Of a delivery that was begun before, fresh is false: the server is asked what it has. */
  constructor(
    readonly delivery: number,
    files: File[],
    fresh: boolean,
  ) {
    this.files = files;
    this.offsets = files.map(() => (fresh ? 0 : null));
    this.rows.value = files.map((f) => ({ name: f.name, size: f.size, sent: 0, state: 'waiting', error: null }));
    remember(delivery, files);
  }

  get share(): number {
    return sentShare(this.rows.value.map((f) => ({ size: f.size, sent: f.sent, done: f.state === 'done' })));
  }

  pause(): void {
    if (this.state.value !== 'sending') return;
    this.state.value = 'paused';
    this.xhr?.abort();
  }

  /** Sends, or goes on after a pause, a break or a refusal. repeat submits files that the dataset has already. */
  async resume(repeat = false): Promise<void> {
    if (this.working || this.state.value === 'submitted') return;
    this.working = true;
    this.state.value = 'sending';
    this.error.value = null;
    this.samples = [];
    try {
      for (let i = 0; i < this.files.length; i++) {
        if (this.rows.value[i]!.state === 'done') continue;
        if (!(await this.send(i))) return;
      }
      await this.submit(repeat);
    } finally {
      this.working = false;
      this.left.value = null;
    }
  }

  private async submit(repeat: boolean): Promise<void> {
    this.state.value = 'submitting';
    try {
      await post<Delivery>(`/deliveries/${this.delivery}/submit${repeat ? '?repeat=true' : ''}`);
      this.state.value = 'submitted';
      forget(this.delivery);
    } catch (error) {
      this.error.value = error instanceof RequestError ? error : new RequestError(0, null);
      this.state.value = this.error.value.status === 0 ? 'broken' : 'refused';
    }
  }

  /** Sends one file; false when the upload stopped. */
  private async send(i: number): Promise<boolean> {
    const file = this.files[i]!;
    this.row(i, { state: 'sending', error: null });
    let tries = 0;
    let sent = false;
    for (;;) {
      try {
        const offset = (this.offsets[i] ??= await this.arrived(file.name));
        const piece = nextPiece(file.size, offset, sent || (offset > 0 && offset >= file.size));
        if (!piece) {
          this.row(i, { state: 'done', sent: file.size });
          return true;
        }
        if (offset > file.size) throw new RequestError(422, larger);
        this.offsets[i] = await this.put(i, file.slice(piece.from, piece.to), piece.from);
        sent = true;
        tries = 0;
      } catch (error) {
        if (this.state.value === 'paused') {
          this.offsets[i] = null;
          this.row(i, { state: 'waiting' });
          return false;
        }
        const failure = error instanceof RequestError ? error : new RequestError(0, null);
        // Busy and broken ways mend themselves; another offset is the server's to say.
        const passing = failure.status === 0 || failure.status >= 500 || failure.status === 429 || failure.problem?.type === '/problems/depot-offset';
        const wait = passing ? retryDelay(tries++) : null;
        this.offsets[i] = null;
        if (wait === null) {
          this.row(i, { state: 'failed', error: failure });
          this.error.value = failure;
          this.state.value = failure.status === 0 ? 'broken' : 'refused';
          return false;
        }
        await new Promise((resolve) => setTimeout(resolve, wait));
        if ((this.state.value as UploadState) === 'paused') {
          this.row(i, { state: 'waiting' });
          return false;
        }
      }
    }
  }

  /** How many bytes of a file the server has; none of one that was not begun. */
  private async arrived(name: string): Promise<number> {
    try {
      return (await get<{ offset: number }>(filePath(this.delivery, name))).offset;
    } catch (error) {
      if (error instanceof RequestError && error.status === 404) return 0;
      throw error;
    }
  }

  /** Sends a piece and returns the size that the file has reached. fetch would not tell how far a piece is. */
  private put(i: number, piece: Blob, from: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const xhr = (this.xhr = new XMLHttpRequest());
      xhr.open('PATCH', local(filePath(this.delivery, this.files[i]!.name)));
      xhr.setRequestHeader('Upload-Offset', String(from));
      xhr.setRequestHeader('Content-Type', 'application/octet-stream');
      xhr.setRequestHeader('Accept', 'application/json, application/problem+json');
      if (key.value) xhr.setRequestHeader('X-API-Key', key.value);
      xhr.upload.onprogress = (e) => this.progress(i, from + e.loaded);
      xhr.onload = () => {
        if (xhr.status >= 200 && xhr.status < 300) {
          const reached = Number((JSON.parse(xhr.responseText) as { offset: number }).offset);
          this.progress(i, reached);
          resolve(reached);
          return;
        }
        void readProblem({ text: () => Promise.resolve(xhr.responseText) }).then((p) => reject(new RequestError(xhr.status, p)));
      };
      xhr.onerror = xhr.onabort = xhr.ontimeout = () => reject(new RequestError(0, null));
      xhr.send(piece);
    });
  }

  private progress(i: number, sent: number): void {
    this.row(i, { sent: Math.min(sent, this.files[i]!.size) });
    const arrived = this.rows.value.reduce((sum, f) => sum + f.sent, 0);
    this.samples = addSample(this.samples, { at: performance.now(), bytes: arrived });
    this.left.value = secondsLeft(this.samples, this.rows.value.reduce((sum, f) => sum + f.size, 0));
  }

  private row(i: number, change: Partial<Sending>): void {
    this.rows.value = this.rows.value.map((r, n) => (n === i ? { ...r, ...change } : r));
  }
}

/** Uploads of this page, by delivery: they go on while the reader looks at something else. */
export const uploads = signal<ReadonlyMap<number, Upload>>(new Map());

/** Begins or goes on with an upload. */
export function startUpload(delivery: number, files: File[], fresh: boolean): Upload {
  const upload = new Upload(delivery, files, fresh);
  uploads.value = new Map(uploads.value).set(delivery, upload);
  void upload.resume();
  return upload;
}

window.addEventListener('beforeunload', (e) => {
  if ([...uploads.value.values()].some((u) => u.state.value === 'sending')) e.preventDefault();
});

const larger: Problem = {
  status: 422,
  title: '服务器上的同名文件比所选文件大',
  titleEn: 'the server has more of a file of this name than was chosen',
  detail: '请确认选择了同一个文件，或新建交付。',
  detailEn: 'Choose the same file, or make another delivery.',
};

function filePath(delivery: number, name: string): string {
  return `/deliveries/${delivery}/files/${encodeURIComponent(name)}`;
}

const stored = (delivery: number) => `changde.upload.${delivery}`;

function remember(delivery: number, files: File[]): void {
  const known: Known[] = files.map((f) => ({ name: f.name, size: f.size, modified: f.lastModified }));
  try {
    localStorage.setItem(stored(delivery), JSON.stringify(known));
  } catch {
    // Without storage the reader chooses the files again unadvised.
  }
}

function forget(delivery: number): void {
  try {
    localStorage.removeItem(stored(delivery));
  } catch {
    // See remember.
  }
}

/** The files whose upload this browser had begun, to be chosen again after a reload. */
export function begun(delivery: number): Known[] {
  try {
    const known: unknown = JSON.parse(localStorage.getItem(stored(delivery)) ?? '[]');
    return Array.isArray(known) ? known.filter((k): k is Known => typeof k?.name === 'string' && typeof k.size === 'number') : [];
  } catch {
    return [];
  }
}

/** Of files chosen again, those that are not the ones whose upload had begun, and the names still missing. */
export function unlike(delivery: number, files: File[]): { changed: string[]; missing: string[] } {
  const known = new Map(begun(delivery).map((k) => [k.name, k]));
  return {
    changed: files.filter((f) => !sameFile(known.get(f.name), f)).map((f) => f.name),
    missing: [...known.keys()].filter((name) => !files.some((f) => f.name === name)),
  };
}
