import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { download } from './api';
import { ChangeList } from './changelist';
import { Decide } from './decide';
import { boxAround, changes, changesListed, changeTiles, delivery, failure, follow, mark, readChanges } from './deliveries';
import { actionText, checkText, choiceText, modeText, ruleText, running } from './deliverywords';
import { choices, type Delivery, type Finding, type Plan } from './deliverytypes';
import { bytes } from './difference';
import { DifferenceView } from './differenceview';
import { Findings } from './findings';
import { count, value } from './format';
import { both, lang, t } from './i18n';
import { Assign } from './assign';
import { datasetTitle, Failure, FindingCounts, MapToggle, oneLanguage, organisationName, PageLink, ProgressBar, SeverityMark, SignInFirst, StateBadge } from './marks';
import * as state from './state';
import { UploadPanel } from './uploadpanel';
import type { Key } from './zh';

/** Everything about one delivery, with the map of what it changes beside it. */
export function DeliveryPage({ id }: { id: number }) {
  const reader = state.landing.value?.principal.organisation ?? '';
  const round = useSignal(0);
  useEffect(() => {
    delivery.value = null;
    changes.value = null;
    mark.value = null;
    failure.value = null;
    return () => {
      state.overlay.value = null;
      delivery.value = null;
    };
  }, [id, reader]);
  useEffect(() => {
    if (!reader) return;
    const request = new AbortController();
    void follow(id, request.signal);
    return () => request.abort();
  }, [id, reader, round.value]);
  useSignalEffect(drawOverlay);
  const d = delivery.value?.delivery === id ? delivery.value : null;
  const tiles = d && !running(d.state) ? changeTiles(d) : null;
  useEffect(() => {
    if (!d) return;
    const request = new AbortController();
    changes.value = null;
    if (!tiles) {
      zoomTo(d);
      return;
    }
    void readChanges(id, false, request.signal).then(() => {
      if (!request.signal.aborted) zoomTo(d);
    });
    return () => request.abort();
  }, [tiles, d === null]);

  if (state.landing.value && !reader) return <SignInFirst />;
  if (failure.value && !d) return <div class="delivery"><BackLink /><Failure of={failure.value} /></div>;
  if (!d) return <p class="empty" role="status">{t('loadingDelivery')}</p>;
  return (
    <article class="delivery" data-delivery={d.delivery} data-state={d.state} aria-label={t('deliveryNumber', { n: d.delivery })}>
      <div class="head-links">
        <BackLink />
        <MapToggle />
      </div>
      <Head d={d} decided={() => { round.value++; }} />
      {d.state === 'receiving' && <UploadPanel d={d} submitted={() => { round.value++; }} />}
      {d.state === 'inspected' && <Assign d={d} done={() => { round.value++; }} />}
      {d.difference ? (
        <Part title="difference" heading={t('differenceFrom', { n: d.difference.from })}><DifferenceView d={d.difference} dataset={d.dataset} /></Part>
      ) : d.state !== 'receiving' && d.state !== 'inspected' && d.state !== 'split' && (
        <Part title="difference"><p class="empty small">{t(d.state === 'released' || d.state === 'awaiting' ? 'firstRelease' : 'notCompared')}</p></Part>
      )}
      {d.difference && (changesListed(d) ? <Part title="changeList"><ChangeList d={d} /></Part> : <p class="muted small">{t('changesNotListed')}</p>)}
      {d.read > 0 && <Part title="counts"><Counts d={d} /></Part>}
      {d.state !== 'receiving' && d.state !== 'inspected' && d.read > 0 && <Findings d={d} />}
      {d.read > 0 && <Part title="quality"><Rules d={d} /></Part>}
      <Part title="decisions"><Decisions d={d} /></Part>
      {d.read > 0 && <Part title="reports"><Reports id={d.delivery} /></Part>}
      {d.plan?.format?.value && <Part title="plan"><PlanView plan={d.plan} /></Part>}
    </article>
  );
}

function Part({ title, heading, children }: { title: Key; heading?: string; children: preact.ComponentChildren }) {
  return (
    <section class="part" data-part={title}>
      <h2>{heading ?? t(title)}</h2>
      {children}
    </section>
  );
}

function BackLink() {
  return <PageLink to={{ name: 'deliveries' }} class="back-link">‹ {t('backToDeliveries')}</PageLink>;
}

function Head({ d, decided }: { d: Delivery; decided: () => void }) {
  const facts: [Key, preact.ComponentChildren][] = [
    ['sender', organisationName(d.sender, d.senderName)],
    ['owner', organisationName(d.owner, d.ownerName)],
    ['mode', modeText(d.mode)],
    ['document', d.document],
    ['note', d.note],
    ['files', (d.files ?? []).length > 0 && <>{d.files!.map((f) => <span class="file" key={f}>{f}</span>)}</>],
    ['size', d.bytes > 0 && bytes(d.bytes)],
    ['digest', d.sha256 && <code class="digest">{d.sha256}</code>],
    ['started', value(d.started, 'timestamp', lang.value)],
    ['finished', d.finished && value(d.finished, 'timestamp', lang.value)],
  ];
  const known = state.byId.value.get(d.dataset);
  const show = () => {
    if (!state.on.value.has(d.dataset)) state.toggle(d.dataset);
    const box = known?.extent?.spatial?.bbox?.[0];
    if (box) state.showOnMap(box);
  };
  return (
    <header class="delivery-head">
      <div class="head-title">
        <h1>{t('deliveryNumber', { n: d.delivery })} <span>{d.dataset ? datasetTitle(d.dataset) : t('noDataset')}</span></h1>
        <StateBadge of={d.state} />
        {d.release !== undefined && d.release > 0 && <span class="badge">{t('releaseNumber', { n: d.release })}</span>}
      </div>
      {running(d.state) && <ProgressBar of={d.progress ?? { phase: 'wait' }} />}
      {d.confirm && d.state === 'awaiting' && <p class="caution">{t('confirmNeeded')}</p>}
      {d.error && d.state !== 'inspected' && <p class={d.state === 'failed' ? 'failure' : 'caution'} role={d.state === 'failed' ? 'alert' : undefined}>{oneLanguage(d.error)}</p>}
      <Decide d={d} decided={decided} />
      <dl>
        {facts.map(([name, fact]) => fact && <Pair key={name} name={t(name)}>{fact}</Pair>)}
        <Pair name={t('findings')}><FindingCounts of={d} /></Pair>
      </dl>
      {known && (
        <p class="actions">
          {d.state === 'released' && <button type="button" onClick={show}>{t('viewRelease')}</button>}
          <PageLink to={{ name: 'dataset', id: d.dataset }}>{t('openDataset')}</PageLink>
        </p>
      )}
    </header>
  );
}

function Pair({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return <><dt>{name}</dt><dd>{children}</dd></>;
}

function Counts({ d }: { d: Delivery }) {
  const figures: [Key, number][] = [['countRead', d.read], ['countPublished', d.published], ['countRepaired', d.repaired], ['countRefused', d.refused], ['countNoted', d.noted]];
  return (
    <ul class="tiles-row">
      {figures.map(([name, n]) => <li key={name} class={n > 0 && name === 'countRefused' ? 'bad' : ''}><span>{t(name)}</span><b>{count(n)}</b></li>)}
    </ul>
  );
}

function Rules({ d }: { d: Delivery }) {
  const rules = d.rules ?? [];
  if (rules.length === 0) return <p class="empty small">{t('noRules')}</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={t('quality')}>
      <table class="figures rules">
        <thead>
          <tr>
            <th scope="col">{t('rule')}</th>
            <th scope="col" class="left">{t('severity')}</th>
            <th scope="col">{t('found')}</th>
            <th scope="col">{t('checkedRows')}</th>
            <th scope="col">{t('seconds')}</th>
          </tr>
        </thead>
        <tbody>
          {rules.map((r, i) => (
            <tr key={i} class={r.found > 0 ? 'has-found' : ''}>
              <th scope="row">
                <b>{r.rule}</b> {ruleText(r.rule)} {r.check && <span class="badge">{checkText(r.check)}</span>}
                {r.skipZh && <small class="muted block">{both(r.skipZh, r.skipEn)}</small>}
              </th>
              <td class="left">{r.found > 0 ? <SeverityMark of={r.severity} /> : <span class="muted">—</span>}</td>
              <td>{r.atLeast ? `${t('atLeast')} ${count(r.found)}` : count(r.found)}</td>
              <td>{count(r.rows ?? 0)}</td>
              <td>{r.seconds.toFixed(2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Decisions({ d }: { d: Delivery }) {
  const decisions = d.decisions ?? [];
  if (decisions.length === 0) return <p class="empty small">{t('noDecisions')}</p>;
  return (
    <ol class="decisions">
      {decisions.map((x) => (
        <li key={x.id}>
          <b>{actionText(x.action)}</b> {x.document && <span class="badge">{x.document}</span>} {!x.carried && <span class="muted">{t('carrying')}…</span>}
          {x.note && <p>{x.note}</p>}
          <p class="muted">{t('decidedBy', { who: x.organisation ? organisationName(x.organisation) : x.actor, when: value(x.decided, 'timestamp', lang.value) })}</p>
          {x.error && <p class="error">{oneLanguage(x.error)}</p>}
        </li>
      ))}
    </ol>
  );
}

const reports: [format: string, Key][] = [['html', 'reportHTML'], ['xlsx', 'reportXLSX'], ['geojson', 'reportGeoJSON'], ['gpkg', 'reportGPKG'], ['json', 'reportJSON']];

function Reports({ id }: { id: number }) {
  const busy = useSignal('');
  const fetchReport = async (format: string) => {
    busy.value = format;
    try {
      await download(`/deliveries/${id}/report?f=${format}`, `delivery-${id}.${format}`);
    } catch (error) {
      state.notify(error);
    } finally {
      busy.value = '';
    }
  };
  return (
    <div class="actions">
      {reports.map(([format, name]) => (
        <button type="button" key={format} data-report={format} disabled={busy.value !== ''} onClick={() => void fetchReport(format)}>
          {busy.value === format ? t('downloading') : t(name)}
        </button>
      ))}
    </div>
  );
}

function PlanView({ plan }: { plan: Plan }) {
  const columns = plan.columns ?? [];
  return (
    <>
      {(plan.notes ?? []).length > 0 && (
        <div class="caution">
          <b>{t('attention')}</b>
          <ul class="notes">{plan.notes!.map((n) => <li key={n.zh}>{both(n.zh, n.en)}</li>)}</ul>
        </div>
      )}
      <dl class="plan">
        {choices.map((name) => {
          const choice = plan[name];
          return choice?.value && (
            <Pair key={name} name={choiceText(name)}>
              <b>{choice.value}</b>
              <span class="muted block">{both(choice.zh, choice.en)}</span>
            </Pair>
          );
        })}
      </dl>
      {columns.length > 0 && (
        <details>
          <summary>{t('columns', { n: columns.length })}</summary>
          <div class="scroll" tabIndex={0} role="region" aria-label={t('columns', { n: columns.length })}>
            <table class="figures plain">
              <thead><tr>{(['field', 'column', 'type', 'reason'] as const).map((k) => <th key={k} scope="col">{t(k)}</th>)}</tr></thead>
              <tbody>
                {columns.map((c) => (
                  <tr key={c.field}>
                    <th scope="row">{c.field}</th>
                    <td>{c.column}</td>
                    <td>{c.type}</td>
                    <td>{both(c.zh, c.en)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </>
  );
}

let drawn: { findings: Finding[]; points: GeoJSON.FeatureCollection } = { findings: [], points: { type: 'FeatureCollection', features: [] } };

/** Puts the changes and the findings of the open delivery on the map. */
function drawOverlay(): void {
  const d = delivery.value;
  if (!d) return;
  if (drawn.findings !== d.findings) {
    const placed = d.findings.filter((f) => f.place);
    drawn = {
      findings: d.findings,
      points: { type: 'FeatureCollection', features: placed.map((f) => ({ type: 'Feature', properties: { severity: f.severity }, geometry: { type: 'Point', coordinates: f.place! } })) },
    };
  }
  const tiles = running(d.state) ? null : changeTiles(d);
  const now = state.overlay.peek();
  if (!tiles && drawn.points.features.length === 0 && !mark.value) {
    state.overlay.value = null; // nothing to see: the layers stay as they are
    return;
  }
  if (now && now.changes === tiles && now.findings === drawn.points && now.mark === mark.value) return;
  state.overlay.value = { changes: tiles, findings: drawn.points, mark: mark.value };
}

/** Brings what is known of the delivery's places into sight. */
export function zoomTo(d: Delivery): void {
  const shapes = (changes.value?.features ?? []).map((f) => f.geometry);
  const points = d.findings.flatMap((f): GeoJSON.Geometry[] => (f.place ? [{ type: 'Point', coordinates: f.place }] : []));
  const box = boxAround(shapes) ?? boxAround(points) ?? state.byId.value.get(d.dataset)?.extent?.spatial?.bbox?.[0];
  if (box) state.zoomTo(box);
}
