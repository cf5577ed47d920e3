import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { findingPages, mark, readFindings } from './deliveries';
import { outcomeText, ruleText, severityText } from './deliverywords';
import type { Delivery, Finding, Severity } from './deliverytypes';
import { fieldTitle } from './differenceview';
import { count } from './format';
import { both, t } from './i18n';
import { SeverityMark } from './marks';
import * as state from './state';

const pageSize = 100;

/** What was found wrong, row by row; a finding with a place is shown on the map. */
export function Findings({ d }: { d: Delivery }) {
  const severity = useSignal<Severity | ''>('');
  const rule = useSignal('');
  const shown = useSignal(pageSize);
  const picked = useSignal<Finding | null>(null);
  const table = useRef<HTMLDivElement>(null);
  const reading = useSignal(false);
  const files = new Set(d.findings.map((f) => f.file ?? ''));
  const rules = [...new Set(d.findings.map((f) => f.rule))].sort();
  const all = d.findings.filter((f) => (severity.value === '' || f.severity === severity.value) && (rule.value === '' || f.rule === rule.value));

  const locate = (f: Finding) => {
    picked.value = f;
    mark.value = { type: 'Feature', properties: { ink: true }, geometry: { type: 'Point', coordinates: f.place! } };
    state.showOnMap([...f.place!, ...f.place!]);
  };
  useLayoutEffect(() => {
    if (picked.value) table.current?.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'nearest' });
  }, [picked.value]);
  const more = async () => {
    reading.value = true;
    await readFindings(d.delivery).catch(state.notify);
    reading.value = false;
  };
  return (
    <section class="part" data-part="findings">
      <h2>{t('findingsTitle', { n: count(d.kept) })}</h2>
      {d.kept === 0 ? <p class="empty small">{t('noFindings')}</p> : (
        <>
          <div class="filters">
            <label>
              {t('severity')}
              <select value={severity.value} onChange={(e) => { severity.value = e.currentTarget.value as Severity | ''; shown.value = pageSize; }}>
                <option value="">{t('allSeverities')}</option>
                {(['block', 'error', 'warn'] as const).map((s) => <option key={s} value={s}>{severityText(s)}</option>)}
              </select>
            </label>
            <label>
              {t('rule')}
              <select value={rule.value} onChange={(e) => { rule.value = e.currentTarget.value; shown.value = pageSize; }}>
                <option value="">{t('allRules')}</option>
                {rules.map((r) => <option key={r} value={r}>{r} {ruleText(r)}</option>)}
              </select>
            </label>
          </div>
          <div ref={table} class="scroll tall" tabIndex={0} role="region" aria-label={t('findings')}>
            <table class="figures plain finding-table">
              <thead>
                <tr>
                  <th scope="col">{t('severity')}</th>
                  <th scope="col">{t('rule')}</th>
                  <th scope="col">{t('row')}</th>
                  <th scope="col">{t('text')}</th>
                  <th scope="col">{t('action')}</th>
                  <th scope="col">{t('place')}</th>
                </tr>
              </thead>
              <tbody>
                {all.slice(0, shown.value).map((f, i) => (
                  <tr key={i} aria-current={picked.value === f}>
                    <td><SeverityMark of={f.severity} /></td>
                    <td title={ruleText(f.rule)}><b>{f.rule}</b><small class="muted block">{f.code}</small></td>
                    <td>{f.row > 0 ? f.row : t('wholeLayer')}{files.size > 1 && f.file && <small class="muted block">{f.file}</small>}</td>
                    <td class="finding-text">
                      {f.field && <span class="badge">{fieldTitle(d.dataset, f.field)}</span>} {both(f.zh, f.en)}
                      {(f.before || f.after) && <Repair before={f.before ?? ''} after={f.after ?? ''} />}
                    </td>
                    <td>{outcomeText(f.action)}</td>
                    <td>{f.place ? <button type="button" class="linkish nowrap" aria-label={t('showPlace', { row: f.row })} onClick={() => locate(f)}>{t('locate')}</button> : <span class="muted">—</span>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          <p class="row">
            <span class="muted" role="status">{t('findingsShown', { shown: count(Math.min(shown.value, all.length)), n: count(all.length) })}{d.findings.length < d.kept && ` · ${t('findingsStored', { shown: count(d.findings.length), n: count(d.kept) })}`}</span>
            {all.length > shown.value ? <button type="button" onClick={() => { shown.value += pageSize; }}>{t('more')}</button>
              : d.findings.length < Math.min(d.kept, findingPages.most) && <button type="button" disabled={reading.value} onClick={() => void more()}>{t('readMoreFindings')}</button>}
          </p>
        </>
      )}
    </section>
  );
}

/** A repaired row before and after; shapes are long and stay folded. */
function Repair({ before, after }: { before: string; after: string }) {
  return (
    <details class="repair">
      <summary>{t('beforeAfter')}</summary>
      <code>{before || '—'}</code> → <code>{after || '—'}</code>
    </details>
  );
}
