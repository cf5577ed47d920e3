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

/** Reads JSON from the API. Throws RequestError, or the signal's AbortError. */
export async function get<T>(path: string, options: { signal?: AbortSignal; key?: string } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json, application/geo+json, application/problem+json' };
  const use = options.key ?? key.value;
  if (use) headers['X-API-Key'] = use;
  let response: Response;
  try {
    response = await fetch(local(path), { headers, signal: options.signal ?? null, credentials: 'same-origin' });
  } catch (error) {
    if (aborted(error)) throw error;
    offline.value = true;
    throw new RequestError(0, null);
  }
  offline.value = false;
  if (!response.ok) throw new RequestError(response.status, await readProblem(response));
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
