import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get, RequestError } from './api';
import { boxAround, mayDeliver } from './deliveries';
import { kindColors, kindSigns, kindText } from './deliverywords';
import type { Differences, ReleaseInfo, Releases } from './deliverytypes';
import { DifferenceView, fieldTitle } from './differenceview';
import { count, value } from './format';
import type { Page } from './hash';
import { lang, t } from './i18n';
import { datasetTitle, Failure, MapToggle, PageLink } from './marks';
import * as state from './state';
import type { Feature } from './types';

type DatasetAddress = Extract<Page, { name: 'dataset' }>;

/** The releases of a dataset: read the map as of one, compare any two. */
export function DatasetPage({ page }: { page: DatasetAddress }) {
  const releases = useSignal<Releases | null>(null);
  const failure = useSignal<RequestError | null>(null);
  const c = state.byId.value.get(page.id);
  useEffect(() => {
    if (!state.landing.value) return; // who asks is not settled yet
    failure.value = null;
    const request = new AbortController();
    get<Releases>(`/datasets/${page.id}/releases`, { signal: request.signal })
      .then((r) => { releases.value = r; })
      .catch((error: unknown) => {
        if (!request.signal.aborted) failure.value = error instanceof RequestError ? error : new RequestError(0, null);
      });
    return () => request.abort();
  }, [page.id, state.landing.value?.principal, c?.revision]);

  useEffect(() => () => { state.overlay.value = null; }, [page.id]);

  const r = releases.value;
  const newest = r ? [...r.releases].sort((a, b) => b.release - a.release) : [];
  return (
    <article class="dataset" data-dataset={page.id} aria-label={datasetTitle(page.id)}>
      <div class="head-links">
        <PageLink to={{ name: 'deliveries', dataset: page.id }} class="back-link">‹ {t('deliveriesOf')}</PageLink>
        <MapToggle />
      </div>
      <header class="page-head">
        <h1>{datasetTitle(page.id)} <code>{page.id}</code></h1>
        {mayDeliver(state.landing.value?.principal) && <PageLink to={{ name: 'deliver', dataset: page.id }} class="button">{t('deliverTo')}</PageLink>}
      </header>
      {failure.value ? <Failure of={failure.value} /> : !r ? <p class="empty" role="status">{t('loadingReleases')}</p> : (
        <>
          <section class="part" data-part="releases">
            <h2>{t('datasetReleases')}</h2>
            <ol class="releases">{newest.map((x) => <ReleaseRow key={x.release} id={page.id} r={x} />)}</ol>
          </section>
          <section class="part" data-part="compare">
            <h2>{t('compareReleases')}</h2>
            {newest.length < 2 ? <p class="empty small">{t('oneRelease')}</p> : <Compare page={page} releases={newest} />}
          </section>
        </>
      )}
    </article>
  );
}

function ReleaseRow({ id, r }: { id: string; r: ReleaseInfo }) {
  const shown = (state.releases.value.get(id) ?? state.byId.value.get(id)?.release) === r.release;
  return (
    <li data-release={r.release} aria-current={shown}>
      <b>{t('releaseNumber', { n: r.release })}</b>
      <span>
        <time dateTime={r.released}>{value(r.released, 'timestamp', lang.value)}</time> · {t('rowsOf', { n: count(r.rows) })}
        {r.current && <span class="badge">{t('currentRelease')}</span>}
        {r.restores && <span class="badge">{t('restoresOf', { n: r.restores })}</span>}
        {r.note && <small class="muted block">{r.note}</small>}
      </span>
      {shown ? <span class="muted nowrap">{t('readingNow')}</span> : (
        <button
          type="button"
          onClick={() => {
            state.readAsOf(id, r.current ? null : r.release);
            if (r.bbox) state.showOnMap(r.bbox);
          }}
        >
          {t('readAsOf')}
        </button>
      )}
    </li>
  );
}

function Compare({ page, releases }: { page: DatasetAddress; releases: ReleaseInfo[] }) {
  const from = page.from ?? releases[1]!.release;
  const to = page.to ?? releases[0]!.release;
  const chosen = page.from !== undefined && page.to !== undefined;
  const answer = useSignal<Differences | null>(null);
  const failure = useSignal<RequestError | null>(null);
  useEffect(() => {
    answer.value = null;
    failure.value = null;
    if (!chosen) return;
    const request = new AbortController();
    get<Differences>(`/datasets/${page.id}/differences?from=${from}&to=${to}`, { signal: request.signal })
      .then((d) => { answer.value = d; })
      .catch((error: unknown) => {
        if (!request.signal.aborted) failure.value = error instanceof RequestError ? error : new RequestError(0, null);
      });
    return () => request.abort();
  }, [page.id, page.from, page.to]);

  const choice = (name: 'from' | 'to', at: number) => (
    <label>
      {t(name === 'from' ? 'compareFrom' : 'compareTo')}
      <select name={name} value={String(at)} onChange={(e) => state.go({ name: 'dataset', id: page.id, from, to, [name]: Number(e.currentTarget.value) })}>
        {releases.map((r) => <option key={r.release} value={String(r.release)}>{t('releaseOf', { n: r.release, day: value(r.released, 'timestamp', lang.value) })}</option>)}
      </select>
    </label>
  );
  return (
    <>
      <div class="filters">
        {choice('from', from)}
        {choice('to', to)}
        {!chosen && <button type="button" class="primary" onClick={() => state.go({ name: 'dataset', id: page.id, from, to })}>{t('compare')}</button>}
      </div>
      {failure.value ? <Failure of={failure.value} /> : chosen && (!answer.value ? <p class="empty" role="status">{t('comparing')}</p> : (
        <>
          <DifferenceView d={answer.value.difference} dataset={page.id} />
          <Changed id={page.id} of={answer.value} from={from} to={to} />
        </>
      ))}
    </>
  );
}

function Changed({ id, of, from, to }: { id: string; of: Differences; from: number; to: number }) {
  const picked = useSignal<string>('');
  if (of.features.length === 0) return null;
  const show = (f: Differences['features'][number]) => {
    picked.value = `${f.kind}/${f.fid}`;
    const release = f.kind === 'removed' ? from : to;
    get<Feature>(`/collections/${id}/items/${f.fid}?release=${release}`)
      .then(({ geometry }) => {
        state.overlay.value = { changes: null, findings: { type: 'FeatureCollection', features: [] }, mark: geometry && { type: 'Feature', properties: { ink: true }, geometry } };
        const box = boxAround([geometry]);
        if (box) state.showOnMap(box);
      })
      .catch(state.notify);
  };
  return (
    <>
      <h3>{t('differenceFeatures', { n: count(of.features.length) })}</h3>
      <div class="scroll tall" tabIndex={0} role="region" aria-label={t('changeList')}>
        <table class="figures plain changes">
          <thead>
            <tr>{(['change', 'featureNumber', 'businessKey', 'changedWhat'] as const).map((k) => <th key={k} scope="col">{t(k)}</th>)}</tr>
          </thead>
          <tbody>
            {of.features.map((f) => (
              <tr key={`${f.kind}/${f.fid}`} data-kind={f.kind} aria-current={picked.value === `${f.kind}/${f.fid}`}>
                <td>
                  <button type="button" class="linkish nowrap" onClick={() => show(f)} aria-label={`${kindText(f.kind)} ${f.key || f.fid}`}>
                    <i aria-hidden="true" style={{ color: kindColors[f.kind] }}>{kindSigns[f.kind]}</i> {kindText(f.kind)}
                  </button>
                </td>
                <td>{f.fid}</td>
                <td>{f.key || '—'}</td>
                <td>{[...(f.fields ?? []).map((name) => fieldTitle(id, name)), ...(f.moved ? [t('shapeChanged')] : [])].join('、')}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
