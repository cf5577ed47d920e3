import { useSignal, useSignalEffect } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { get } from './api';
import { boxAround, changes, mark, readChanges } from './deliveries';
import { kindColors, kindSigns, kindText } from './deliverywords';
import type { ChangedFeature, ChangedPage, Delivery } from './deliverytypes';
import { changedValues } from './difference';
import { fieldTitle } from './differenceview';
import { count } from './format';
import { t } from './i18n';
import * as state from './state';

/** The features that a delivery changes; a row and its shape on the map are picked together. */
export function ChangeList({ d }: { d: Delivery }) {
  const picked = useSignal<{ feature: ChangedFeature; from: 'list' | 'map' } | null>(null);
  const table = useRef<HTMLDivElement>(null);
  const reading = useSignal(false);

  function choose(f: ChangedFeature, from: 'list' | 'map') {
    picked.value = { feature: f, from };
    mark.value = f.geometry ? { type: 'Feature', properties: { ink: true }, geometry: f.geometry } : null;
    const box = boxAround([f.geometry]);
    if (from === 'list' && box) state.showOnMap(box);
  }

  // Before the row is shown as picked: nothing moves under a pointer afterwards.
  const pick = picked.value;
  useLayoutEffect(() => {
    if (pick) table.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: pick.from === 'list' ? 'nearest' : 'center' });
  }, [pick]);

  useSignalEffect(() => {
    const id = state.pickedChange.value;
    if (id === null) return;
    state.pickedChange.value = null;
    const listed = changes.peek()?.features.find((f) => f.id === id);
    if (listed) return choose(listed, 'map');
    // The list is numbered from 1 without gaps.
    get<ChangedPage>(`/deliveries/${d.delivery}/changes?limit=1&offset=${id - 1}`)
      .then((page) => {
        if (page.features[0]) choose(page.features[0], 'map');
      })
      .catch(state.notify);
  });

  const l = changes.value;
  if (!l) return <p class="empty small" role="status">{t('loadingChanges')}</p>;
  const more = async () => {
    reading.value = true;
    await readChanges(d.delivery, true);
    reading.value = false;
  };
  const extra = pick && !l.features.some((f) => f.id === pick.feature.id) ? [pick.feature] : [];
  return (
    <>
      <p class="muted small">
        {l.matched !== null && `${t('changesMatched', { n: count(l.matched), shown: count(l.features.length) })} · `}{t('changeListHelp')}
      </p>
      <div ref={table} class="scroll tall" tabIndex={0} role="region" aria-label={t('changeList')}>
        <table class="figures plain changes">
          <thead>
            <tr>
              <th scope="col">{t('change')}</th>
              <th scope="col">{t('businessKey')}</th>
              <th scope="col">{t('labelName')}</th>
              <th scope="col">{t('changedWhat')}</th>
            </tr>
          </thead>
          <tbody>
            {[...extra, ...l.features].map((f) => <Row key={f.id} f={f} d={d} current={pick?.feature.id === f.id} choose={() => choose(f, 'list')} />)}
          </tbody>
        </table>
      </div>
      {l.next && <button type="button" class="more" disabled={reading.value} onClick={() => void more()}>{t('more')}</button>}
    </>
  );
}

function Row({ f, d, current, choose }: { f: ChangedFeature; d: Delivery; current: boolean; choose: () => void }) {
  const { kind, key, label, fields, moved, before_fid: before } = f.properties;
  const values = changedValues(f.properties);
  const shown = new Set(values.map((v) => v.field));
  const rest = (fields ?? '').split(', ').filter((name) => name && !shown.has(name));
  const what = [...rest.map((name) => fieldTitle(d.dataset, name)), ...(moved ? [t('shapeChanged')] : [])];
  return (
    <tr data-change={f.id} data-kind={kind} aria-current={current}>
      <td>
        <button type="button" class="linkish nowrap" onClick={choose} aria-label={`${kindText(kind)} ${key ?? f.id}`}>
          <i aria-hidden="true" style={{ color: kindColors[kind] }}>{kindSigns[kind]}</i> {kindText(kind)}
        </button>
      </td>
      <td>{key ?? '—'}</td>
      <td>{label ?? '—'}</td>
      <td>
        {values.map((v) => (
          <div key={v.field} class="changed-value">
            {fieldTitle(d.dataset, v.field)}: <del>{v.before ?? <i>{t('noValue')}</i>}</del> → <ins>{v.after ?? <i>{t('noValue')}</i>}</ins>
          </div>
        ))}
        {what.join('、')}
        {current && before !== null && state.byId.value.has(d.dataset) && d.state === 'awaiting' && (
          <button type="button" class="linkish block" onClick={() => state.pick([{ collection: d.dataset, fid: before }])}>{t('currentFeature')} {before}</button>
        )}
      </td>
    </tr>
  );
}
