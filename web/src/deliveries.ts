import { signal } from '@preact/signals';
import { aborted, events, get, local, post, RequestError } from './api';
import { actionsIn, running } from './deliverywords';
import type { ChangedFeature, ChangedPage, Delivery, DeliveryAction, DeliveryPage, DeliveryState, DeliverySummary, Progress } from './deliverytypes';
import { boxOf } from './labels';
import * as state from './state';
import type { Box, Principal } from './types';

/** The list as far as it was read, newest first. */
export const list = signal<{ rows: DeliverySummary[]; next: string | null } | null>(null);
/** Datasets of all deliveries that were listed, to narrow the list to. */
export const seenDatasets = signal<ReadonlySet<string>>(new Set());
/** The delivery that is open, once read. */
export const delivery = signal<Delivery | null>(null);
/** Why the open delivery, or the list, could not be read. */
export const failure = signal<RequestError | null>(null);
/** What the open delivery changes, as far as it was read. */
export const changes = signal<{ features: ChangedFeature[]; matched: number | null; next: string | null } | null>(null);
/** What is picked in the lists of the open delivery, drawn on the map. */
export const mark = signal<GeoJSON.Feature | null>(null);

const pageSize = 50;
/** Findings read at first and at most; the reports hold all. */
export const findingPages = { first: 1000, most: 10_000 };

/** Reads a page of the list; with more the page after those there are. */
export async function readList(filter: { dataset?: string; state?: string }, more: boolean, signal: AbortSignal): Promise<void> {
  const query = new URLSearchParams({ limit: String(pageSize) });
  if (filter.dataset) query.set('dataset', filter.dataset);
  if (filter.state) query.set('state', filter.state);
  const path = more ? list.value?.next : `/deliveries?${query}`;
  if (!path) return;
  try {
    const page = await get<DeliveryPage>(path, { signal });
    const before = more ? (list.value?.rows ?? []) : [];
    list.value = { rows: [...before, ...page.deliveries], next: nextOf(page.links) };
    seenDatasets.value = new Set([...seenDatasets.value, ...page.deliveries.map((d) => d.dataset).filter(Boolean)]);
    failure.value = null;
  } catch (error) {
    if (signal.aborted) return;
    if (list.value) state.notify(error);
    else failure.value = error instanceof RequestError ? error : new RequestError(0, null);
  }
}

/** Reads the first page again while a delivery in it is at work, every two seconds, and puts what changed into the list. */
export async function followList(filter: { dataset?: string; state?: string }, signal: AbortSignal): Promise<void> {
  for (;;) {
    const busy = (list.value?.rows ?? []).some((d) => running(d.state));
    await pause(busy ? 2000 : 10_000, signal);
    if (signal.aborted) return;
    if (document.hidden || !list.value) continue;
    const query = new URLSearchParams({ limit: String(pageSize) });
    if (filter.dataset) query.set('dataset', filter.dataset);
    if (filter.state) query.set('state', filter.state);
    try {
      const page = await get<DeliveryPage>(`/deliveries?${query}`, { signal });
      list.value = merge(list.value, page);
    } catch {
      // The bar says that the server is away; the list stays as it was.
    }
  }
}

/** The list with its first page as it is today: rows below the page stay. */
export function merge(before: { rows: DeliverySummary[]; next: string | null }, page: DeliveryPage): { rows: DeliverySummary[]; next: string | null } {
  const last = page.deliveries[page.deliveries.length - 1];
  const below = last ? before.rows.filter((d) => d.delivery < last.delivery) : [];
  return { rows: [...page.deliveries, ...below], next: below.length > 0 ? before.next : nextOf(page.links) };
}

function nextOf(links: { rel: string; href: string }[]): string | null {
  return links.find((l) => l.rel === 'next')?.href ?? null;
}

/** Whether a decision waits for a worker. */
export function undecided(d: Delivery): boolean {
  return (d.decisions ?? []).some((x) => !x.carried) && actionsIn(d.state).length > 0;
}

/**
 * Reads a delivery and follows it until the signal ends: by server-sent events
 * while a worker is at it, by looking again while a decision waits for one, and
 * now and then while somebody else may decide.
 */
export async function follow(id: number, signal: AbortSignal): Promise<void> {
  let tries = 0;
  let known: DeliveryState | null = delivery.value?.delivery === id ? delivery.value.state : null;
  while (!signal.aborted) {
    try {
      const before = delivery.value;
      const fresh = await read(id, before?.delivery === id && busy(before) ? 1 : findingPages.first, signal);
      tries = 0;
      failure.value = null;
      if (known !== null && known !== fresh.state && fresh.state === 'released') void expectRelease(fresh, signal);
      known = fresh.state;
      if (running(fresh.state)) {
        await events<{ state: DeliveryState; progress: Progress | null; error: string }>(
          `/deliveries/${id}/events`,
          (e) => {
            if (delivery.value?.delivery === id) delivery.value = { ...delivery.value, state: e.state, progress: e.progress, ...(e.error ? { error: e.error } : {}) };
          },
          { signal },
        );
        await pause(150, signal);
      } else if (undecided(fresh)) {
        await pause(700, signal);
      } else if (fresh.finished) {
        return;
      } else {
        await pause(10_000, signal);
      }
    } catch (error) {
      if (signal.aborted || aborted(error)) return;
      const refused = error instanceof RequestError && error.status >= 400 && error.status < 500;
      if (refused) {
        delivery.value = null;
        failure.value = error;
        return;
      }
      if (tries === 0) state.notify(error);
      await pause(Math.min(1000 * 2 ** tries++, 15_000), signal);
    }
  }
}

/** Reads the catalogue until it has the release: the server learns of it a moment after the worker's commit. Those who may not see the dataset wait in vain, and not for long. */
async function expectRelease(d: Delivery, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < 5 && !signal.aborted; tries++) {
    await state.loadCatalogue();
    if ((state.byId.value.get(d.dataset)?.release ?? 0) >= (d.release ?? 0)) return;
    await pause(400 * 2 ** tries, signal);
  }
}

function busy(d: Delivery): boolean {
  return running(d.state) || undecided(d);
}

/** Reads a delivery; one that has come to rest with all the findings of the first page. */
async function read(id: number, limit: number, signal: AbortSignal): Promise<Delivery> {
  let d = await get<Delivery>(`/deliveries/${id}?limit=${limit}`, { signal });
  if (limit === 1 && !busy(d)) d = await get<Delivery>(`/deliveries/${id}?limit=${findingPages.first}`, { signal });
  const before = delivery.value;
  if (before?.delivery !== id || JSON.stringify(before) !== JSON.stringify(d)) delivery.value = d;
  return d;
}

/** Reads the findings that the first page left out, as many as the API gives. */
export async function readFindings(id: number): Promise<void> {
  const d = await get<Delivery>(`/deliveries/${id}?limit=${findingPages.most}`);
  if (delivery.value?.delivery === id) delivery.value = d;
}

/** Whether the changes of a delivery can be listed and drawn one by one: for those who see the dataset. */
export function changesListed(d: Delivery): boolean {
  const x = d.difference;
  return !!x?.listed && state.byId.value.has(d.dataset) && x.added + x.removed + x.changed > 0 && d.state !== 'rejected' && d.state !== 'withdrawn' && d.state !== 'failed';
}

/** The address of the vector tiles of a delivery's changes; another once it was compared anew. */
export function changeTiles(d: Delivery): string | null {
  if (!changesListed(d)) return null;
  const x = d.difference!;
  return `${local(`/deliveries/${d.delivery}/changes/tiles/WebMercatorQuad`)}/{z}/{y}/{x}#${x.from}-${x.added}-${x.removed}-${x.changed}`;
}

/** Reads a page of what a delivery changes. */
export async function readChanges(id: number, more: boolean, signal?: AbortSignal): Promise<void> {
  const path = more ? changes.value?.next : `/deliveries/${id}/changes?limit=200`;
  if (!path) return;
  try {
    const page = await get<ChangedPage>(path, signal ? { signal } : {});
    if (delivery.value?.delivery !== id) return;
    const before = more ? (changes.value?.features ?? []) : [];
    changes.value = {
      features: [...before, ...page.features],
      matched: page.numberMatched ?? changes.value?.matched ?? null,
      next: nextOf(page.links),
    };
  } catch (error) {
    if (!aborted(error)) state.notify(error);
  }
}

/** The box around shapes, or null when none has a position. */
export function boxAround(shapes: (GeoJSON.Geometry | null)[]): Box | null {
  let all: Box | null = null;
  for (const shape of shapes) {
    const box = shape && boxOf(shape);
    if (!box) continue;
    all = all ? [Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3])] : box;
  }
  return all;
}

/** Asks for a decision; a worker carries it out. Throws RequestError. */
export async function decide(id: number, action: DeliveryAction, document: string, note: string): Promise<void> {
  const answer = await post<Delivery>(`/deliveries/${id}/decisions`, { action, document, note });
  const before = delivery.value;
  if (before?.delivery === id) delivery.value = { ...answer, findings: before.findings };
}

/** Resolves after a time, or as soon as the signal ends. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

/** Whether the key's role lets it deliver; a server that does not tell the role decides when asked. */
export function mayDeliver(principal: Principal | undefined): boolean {
  return !!principal?.organisation && principal.role !== 'reader';
}
