import { signal } from '@preact/signals';
import { both, t } from './i18n';
import type { Problem } from './types';

const stored = 'changde.key';

/** The organisation's key, empty when there is none. Kept for this tab only. */
export const key = signal<string>(remembered());

/** True while the server does not answer at all. */
export const offline = signal(false);

/** A request that failed, with the server's problem when it gave one. Status 0: no answer. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
  ) {
    super(problem?.detail ?? problem?.title ?? `status ${status}`);
  }

  /** What to tell the reader, in the current language. */
  get text(): { title: string; detail: string } {
    if (this.status === 0) return { title: t('offline'), detail: '' };
    const p = this.problem;
    if (!p) return { title: t('unexpected'), detail: t('unexpectedHelp', { status: this.status }) };
    const detail = both(p.detail, p.detailEn);
    return { title: both(p.title, p.titleEn), detail: p.requestId ? `${detail} ${t('requestId', { id: p.requestId })}`.trim() : detail };
  }
}

/** The address on this server of a link of the API, whatever host the link names: keys never leave the origin. */
export function local(href: string): string {
  return location.origin + (href.replace(/^[a-z]+:\/\/[^/]+/i, '') || '/');
}

interface Options {
  signal?: AbortSignal;
  key?: string;
}

/** Reads JSON from the API. Throws RequestError, or the signal's AbortError. */
export async function get<T>(path: string, options: Options = {}): Promise<T> {
  return read<T>(await request('GET', path, 'application/json, application/geo+json, application/problem+json', options));
}

/** Posts JSON, or nothing, and reads the JSON of the answer. Throws as get. */
export async function post<T>(path: string, body?: unknown, options: Options = {}): Promise<T> {
  return read<T>(await request('POST', path, 'application/json, application/problem+json', options, body));
}

/** Reads a stream of server-sent events, each the JSON of its data, until the server ends it. Throws as get. */
export async function events<T>(path: string, on: (event: T) => void, options: Options = {}): Promise<void> {
  const response = await request('GET', path, 'text/event-stream, application/problem+json', options);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const split = eventSplitter((data) => on(JSON.parse(data) as T));
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      split(value);
    }
  } catch (error) {
    if (aborted(error)) throw error;
    throw new RequestError(0, null);
  }
}

/** Cuts pieces of an event stream (HTML, 9.2.6) into the data of its events. */
export function eventSplitter(on: (data: string) => void): (piece: string) => void {
  let rest = '';
  let data: string[] = [];
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) on(data.join('\n'));
        data = [];
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
  };
}

/** Fetches a file and hands it to the browser to keep: a link could not carry the key. Throws as get. */
export async function download(path: string, name: string): Promise<void> {
  const response = await request('GET', path, '*/*', {});
  const url = URL.createObjectURL(await response.blob());
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function request(method: string, path: string, accept: string, options: Options, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { Accept: accept };
  const use = options.key ?? key.value;
  if (use) headers['X-API-Key'] = use;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(local(path), { method, headers, body: body === undefined ? null : JSON.stringify(body), signal: options.signal ?? null, credentials: 'same-origin' });
  } catch (error) {
    if (aborted(error)) throw error;
    offline.value = true;
    throw new RequestError(0, null);
  }
  offline.value = false;
  if (!response.ok) throw new RequestError(response.status, await readProblem(response));
  return response;
}

async function read<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (aborted(error)) throw error;
    throw new RequestError(response.status, null);
  }
}

/** The problem in a body, or null when it holds none. */
export async function readProblem(body: { text(): Promise<string> }): Promise<Problem | null> {
  try {
    const p = JSON.parse(await body.text()) as Partial<Problem>;
    return typeof p.title === 'string' && typeof p.status === 'number' ? (p as Problem) : null;
  } catch {
    return null;
  }
}

/** Uses a key from here on; an empty one signs out. */
export function setKey(next: string): void {
  key.value = next;
  try {
    if (next) sessionStorage.setItem(stored, next);
    else sessionStorage.removeItem(stored);
  } catch {
    // A browser that forbids storage keeps the key until the page is left.
  }
}

export function aborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

function remembered(): string {
  try {
    return sessionStorage.getItem(stored) ?? '';
  } catch {
    return '';
  }
}
