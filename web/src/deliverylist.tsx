import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { failure, followList, list, mayDeliver, readList, seenDatasets } from './deliveries';
import { deliveryStateText, modeText, running, states } from './deliverywords';
import type { DeliveryState, DeliverySummary } from './deliverytypes';
import { count, value } from './format';
import type { Page } from './hash';
import { both, lang, t } from './i18n';
import { datasetTitle, Failure, FindingCounts, oneLanguage, organisationName, PageLink, ProgressBar, SignInFirst, StateBadge } from './marks';
import * as state from './state';

/** Every delivery and job that concerns the reader, newest first. */
export function DeliveryList({ page }: { page: Extract<Page, { name: 'deliveries' }> }) {
  const reader = state.landing.value?.principal.organisation ?? '';
  const reading = useSignal(false);
  useEffect(() => {
    list.value = null;
    failure.value = null;
    if (!reader) return;
    const request = new AbortController();
    void readList(page, false, request.signal).then(() => followList(page, request.signal));
    return () => request.abort();
  }, [reader, page.dataset, page.state]);

  if (state.landing.value && !reader) return <SignInFirst />;
  const l = list.value;
  const more = async () => {
    reading.value = true;
    await readList(page, true, new AbortController().signal);
    reading.value = false;
  };
  return (
    <section class="deliveries" aria-label={t('deliveries')}>
      <header class="page-head">
        <h1>{t('deliveries')}</h1>
        {mayDeliver(state.landing.value?.principal) && <PageLink to={{ name: 'deliver', ...(page.dataset ? { dataset: page.dataset } : {}) }} class="button primary">＋ {t('newDelivery')}</PageLink>}
      </header>
      <Filters page={page} />
      {failure.value ? <Failure of={failure.value} /> : !l ? <p class="empty" role="status">{t('loadingDeliveries')}</p> : l.rows.length === 0 ? (
        <p class="empty" role="status">{t(page.dataset || page.state ? 'noDeliveryMatches' : 'noDeliveries')}</p>
      ) : (
        <>
          <table class="delivery-table" role="table">
            <thead role="rowgroup">
              <tr role="row">
                {(['number', 'state', 'dataset', 'summary', 'findings', 'rows', 'mode', 'files', 'sender', 'started'] as const).map((k) => (
                  <th key={k} scope="col" role="columnheader" class={k}>{t(k)}</th>
                ))}
              </tr>
            </thead>
            <tbody role="rowgroup">{l.rows.map((d) => <Row key={d.delivery} d={d} />)}</tbody>
          </table>
          {l.next && <button type="button" class="more" disabled={reading.value} onClick={() => void more()}>{t('olderDeliveries')}</button>}
        </>
      )}
    </section>
  );
}

function Filters({ page }: { page: Extract<Page, { name: 'deliveries' }> }) {
  const known = new Map((state.collections.value ?? []).filter((c) => c.kind === 'delivered').map((c) => [c.id, datasetTitle(c.id)]));
  for (const id of [...seenDatasets.value, ...(page.dataset ? [page.dataset] : [])]) if (!known.has(id)) known.set(id, id);
  const go = (dataset: string, of: string) => state.go({ name: 'deliveries', ...(dataset ? { dataset } : {}), ...(of ? { state: of } : {}) });
  return (
    <div class="filters">
      <label>
        {t('filterDataset')}
        <select name="dataset" value={page.dataset ?? ''} onChange={(e) => go(e.currentTarget.value, page.state ?? '')}>
          <option value="">{t('allDatasets')}</option>
          {[...known].map(([id, title]) => <option key={id} value={id}>{title === id ? id : `${title} ${id}`}</option>)}
        </select>
      </label>
      <label>
        {t('filterState')}
        <select name="state" value={page.state ?? ''} onChange={(e) => go(page.dataset ?? '', e.currentTarget.value)}>
          <option value="">{t('allStates')}</option>
          {(Object.keys(states) as DeliveryState[]).filter((s) => s !== 'staged').map((s) => <option key={s} value={s}>{deliveryStateText(s)}</option>)}
        </select>
      </label>
    </div>
  );
}

function Row({ d }: { d: DeliverySummary }) {
  const files = d.files ?? [];
  const sentence = both(d.zh, d.en);
  return (
    <tr role="row" data-delivery={d.delivery} aria-busy={running(d.state)}>
      <td role="cell" class="number">
        <PageLink to={{ name: 'delivery', id: d.delivery }} class="row-link" aria-label={t('deliveryNumber', { n: d.delivery })}>{d.delivery}</PageLink>
      </td>
      <td role="cell" class="state-cell">
        <StateBadge of={d.state} />
        {d.release !== undefined && d.release > 0 && <small class="muted"> {t('releaseNumber', { n: d.release })}</small>}
        {running(d.state) && <ProgressBar of={d.progress} />}
      </td>
      <td role="cell" class="dataset-cell">
        <b>{d.dataset ? datasetTitle(d.dataset) : t('noDataset')}</b>
        {d.dataset && datasetTitle(d.dataset) !== d.dataset && <small class="muted">{d.dataset}</small>}
      </td>
      <td role="cell" class={sentence || d.error ? 'summary' : 'summary nothing'}>
        {sentence || (d.error ? <span class={d.state === 'failed' ? 'error' : ''}>{oneLanguage(d.error)}</span> : <span class="muted">—</span>)}
        {d.confirm && d.state === 'awaiting' && <small class="confirm">{t('confirmNeeded')}</small>}
      </td>
      <td role="cell" class="findings" data-label={t('findings')}><FindingCounts of={d} /></td>
      <td role="cell" class="rows" data-label={t('rows')}>{d.published > 0 || d.read > 0 ? count(d.published) : '—'}</td>
      <td role="cell" class="mode" data-label={t('mode')}>{modeText(d.mode)}</td>
      <td role="cell" class="files" data-label={t('files')} title={files.join('\n')}>
        {files.length === 0 ? '—' : files.length === 1 ? files[0] : t('filesMore', { name: files[0]!, n: files.length })}
      </td>
      <td role="cell" class="sender" data-label={t('sender')}>
        {organisationName(d.sender, d.senderName)}
        {d.document && <small class="muted">{d.document}</small>}
      </td>
      <td role="cell" class="started" data-label={t('started')}>{value(d.started, 'timestamp', lang.value)}</td>
    </tr>
  );
}
