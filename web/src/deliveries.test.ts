import { describe, expect, test, vi } from 'vitest';
import { boxAround, changesListed, changeTiles, mayDeliver, merge, undecided } from './deliveries';
import { actionsIn, ruleText, states } from './deliverywords';
import { lang } from './i18n';
import { requestOf } from './deliver';
import { oneLanguage } from './marks';
import * as state from './state';
import type { Collection } from './types';
import type { Decision, Delivery, DeliveryState, DeliverySummary, Difference } from './deliverytypes';

// What the modules read of the browser when they are loaded.
vi.hoisted(() => {
  Object.assign(globalThis, { location: { hash: '', origin: 'http://portal.test' }, window: { addEventListener: () => undefined } });
});

const summary = (delivery: number, state: DeliveryState = 'released') => ({ delivery, state }) as DeliverySummary;
const next = { rel: 'next', href: '/deliveries?next=5' };

describe('a list that is read again', () => {
  test('takes what is new and keeps what was read below', () => {
    const list = merge({ rows: [summary(7, 'loading'), summary(6), summary(4)], next: 'deep' }, { deliveries: [summary(8), summary(7), summary(6)], links: [next] });
    expect(list.rows.map((d) => [d.delivery, d.state])).toEqual([[8, 'released'], [7, 'released'], [6, 'released'], [4, 'released']]);
    expect(list.next).toBe('deep');
  });

  test('of one page ends where the page ends', () => {
    expect(merge({ rows: [summary(7)], next: 'old' }, { deliveries: [summary(7)], links: [] }).next).toBeNull();
    expect(merge({ rows: [summary(7)], next: null }, { deliveries: [], links: [] }).rows).toEqual([]);
  });
});

const difference = { from: 1, added: 2, removed: 0, changed: 1, listed: true } as Difference;
const delivery = (state: DeliveryState, rest: Partial<Delivery> = {}) => ({ delivery: 3, dataset: 'dltb', state, difference, decisions: [], ...rest }) as Delivery;

test('changes are listed while they can be asked for', () => {
  state.collections.value = [];
  expect(changesListed(delivery('awaiting'))).toBe(false);
  state.collections.value = [{ id: 'dltb' } as Collection];
  expect(changesListed(delivery('awaiting'))).toBe(true);
  expect(changesListed(delivery('released'))).toBe(true);
  expect(changesListed(delivery('rejected'))).toBe(false);
  expect(changesListed(delivery('awaiting', { difference: null }))).toBe(false);
  expect(changesListed(delivery('awaiting', { difference: { ...difference, listed: false } }))).toBe(false);
  expect(changesListed(delivery('awaiting', { difference: { ...difference, added: 0, changed: 0 } }))).toBe(false);
});

test('tiles of another comparison have another address', () => {
  const [a, b] = [changeTiles(delivery('awaiting')), changeTiles(delivery('awaiting', { difference: { ...difference, added: 3 } }))];
  expect(a).toMatch(/\/deliveries\/3\/changes\/tiles\/WebMercatorQuad\/\{z\}\/\{y\}\/\{x\}#/);
  expect(b).not.toBe(a);
  expect(changeTiles(delivery('failed'))).toBeNull();
});

test('a reader may not deliver, and whoever is not known may not', () => {
  const key = { organisation: 'water', name: '', nameEn: '' };
  expect([undefined, { ...key, organisation: null }, { ...key, role: 'reader' as const }].map(mayDeliver)).toEqual([false, false, false]);
  expect([key, { ...key, role: 'contributor' as const }, { ...key, role: 'approver' as const }].map(mayDeliver)).toEqual([true, true, true]);
});

test('a decision waits until a worker has carried it out', () => {
  const decision = { id: 1, action: 'approve', actor: 'a', decided: '' } as Decision;
  expect(undecided(delivery('awaiting', { decisions: [decision] }))).toBe(true);
  expect(undecided(delivery('awaiting', { decisions: [{ ...decision, carried: '2026-01-01T00:00:00Z' }] }))).toBe(false);
  expect(undecided(delivery('released', { decisions: [decision] }))).toBe(false);
  expect(undecided(delivery('awaiting', { decisions: null }))).toBe(false);
});

test('every state has its words, its sign and its actions', () => {
  for (const state of Object.keys(states) as DeliveryState[]) expect(actionsIn(state).every((a) => /^(approve|reject|withdraw|retry|cancel)$/.test(a))).toBe(true);
  expect(actionsIn('awaiting')).toContain('approve');
  expect(actionsIn('released')).toEqual([]);
});

test('rules have titles', () => {
  expect(ruleText('Q06')).toBe('层内无重叠');
  expect(ruleText('Q20')).not.toBe('');
  expect(ruleText('Q21')).toBe('');
  expect(ruleText('x')).toBe('');
});

test('a box holds all shapes that have a place', () => {
  const point = (x: number, y: number): GeoJSON.Geometry => ({ type: 'Point', coordinates: [x, y] });
  expect(boxAround([point(111, 29), null, point(112, 28)])).toEqual([111, 28, 112, 29]);
  expect(boxAround([null])).toBeNull();
});

test('the request holds what was filled in', () => {
  expect(requestOf('', 'full', {}, false, false)).toEqual({ mode: 'full' });
  expect(requestOf('dltb', 'changes', { changeField: ' BGLX ', document: '号', note: '  ', crs: '4546', 'settings.titleZh': '图斑' }, true, false)).toEqual({
    dataset: 'dltb', mode: 'changes', changeField: 'BGLX', document: '号', crs: 4546, repeat: true,
  });
  expect(requestOf('wells', 'full', { changeField: 'x', 'settings.titleZh': '水井', 'settings.sharing': '' }, false, true)).toEqual({
    dataset: 'wells', mode: 'full', settings: { titleZh: '水井' },
  });
});

test('a text in two languages is told in one', () => {
  expect(oneLanguage('文件不完整 / the file ends')).toBe('文件不完整');
  expect(oneLanguage('只有一种')).toBe('只有一种');
  expect(oneLanguage('a.geojson: 文件不完整 / the file ends')).toBe('a.geojson: 文件不完整');
  lang.value = 'en';
  expect(oneLanguage('a.geojson: 文件不完整 / the file ends')).toBe('a.geojson: the file ends');
  lang.value = 'zh';
});
