import { useSignal } from '@preact/signals';
import { post, RequestError } from './api';
import type { Delivery } from './deliverytypes';
import { both, t } from './i18n';
import { DatasetField } from './datasetfield';
import { Failure } from './marks';

/** Names the dataset of each layer that nobody could tell. */
export function Assign({ d, done }: { d: Delivery; done: () => void }) {
  const known = (d.plan?.assignments ?? []).flatMap((a) => a.layers.map((layer) => ({ layer, dataset: a.dataset, why: both(a.zh, a.en) })));
  const rows = useSignal(known.length > 0 ? known : (d.files ?? []).map((f) => ({ layer: f.replace(/\.[^.]+$/, ''), dataset: '', why: '' })));
  const busy = useSignal(false);
  const error = useSignal<RequestError | null>(null);
  const change = (n: number, part: { layer?: string; dataset?: string }) => {
    rows.value = rows.value.map((r, i) => (i === n ? { ...r, ...part } : r));
  };

  async function submit(e: Event) {
    e.preventDefault();
    busy.value = true;
    error.value = null;
    try {
      const layers = Object.fromEntries(rows.value.filter((r) => r.layer.trim() && r.dataset.trim()).map((r) => [r.layer.trim(), r.dataset.trim()]));
      await post(`/deliveries/${d.delivery}/layers`, { layers });
      done();
    } catch (failure) {
      error.value = failure instanceof RequestError ? failure : new RequestError(0, null);
    } finally {
      busy.value = false;
    }
  }

  return (
    <section class="part" data-part="assign">
      <h2>{t('assignTitle')}</h2>
      <p class="muted">{t('assignHelp')}</p>
      <form class="assign" onSubmit={(e) => void submit(e)}>
        {rows.value.map((r, i) => (
          <div key={i} class="assign-row">
            <label>{t('assignLayer')}<input value={r.layer} maxLength={200} onInput={(e) => change(i, { layer: e.currentTarget.value })} /></label>
            <label>{t('deliverDataset')}<DatasetField name={`assign-${i}`} value={r.dataset} onInput={(dataset) => change(i, { dataset })} /></label>
            {r.why && <small class="muted">{r.why}</small>}
          </div>
        ))}
        {error.value && <Failure of={error.value} />}
        <div class="actions">
          <button type="submit" class="primary" disabled={busy.value || !rows.value.some((r) => r.layer.trim() && r.dataset.trim())}>{t('assignSubmit')}</button>
          <button type="button" onClick={() => { rows.value = [...rows.value, { layer: '', dataset: '', why: '' }]; }}>{t('assignAdd')}</button>
        </div>
      </form>
    </section>
  );
}
