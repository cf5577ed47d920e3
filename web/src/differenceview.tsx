import { useSignal } from '@preact/signals';
import { area, areaUnit, classRows, foldedIn, percent, signed, signedArea } from './difference';
import type { Difference } from './deliverytypes';
import { kindColors, kindSigns } from './deliverywords';
import { count } from './format';
import { both, t } from './i18n';
import { classOf } from './theme';
import * as state from './state';

/** What a delivery changes of the current release, or one release of another, with the sentence that says so. */
export function DifferenceView({ d, dataset }: { d: Difference; dataset: string }) {
  const sentence = both(d.zh, d.en);
  return (
    <div class="difference">
      {sentence && <p class="sentence">{sentence}</p>}
      <ul class="tiles-row">
        {(['added', 'removed', 'changed'] as const).map((kind) => (
          <li key={kind} style={{ borderColor: kindColors[kind] }}>
            <span><i aria-hidden="true" style={{ color: kindColors[kind] }}>{kindSigns[kind]}</i> {t(kind)}</span>
            <b>{count(d[kind])}</b>
            {kind === 'changed' && d.moved > 0 && <small class="muted">{t('movedOf', { n: count(d.moved) })}</small>}
          </li>
        ))}
        <li>
          <span>{t('unchanged')}</span>
          <b>{count(d.unchanged)}</b>
        </li>
      </ul>
      {(d.schema ?? []).length > 0 && (
        <>
          <h3>{t('schemaChanges')}</h3>
          <ul class="notes">{d.schema!.map((n) => <li key={n.zh}>{both(n.zh, n.en)}</li>)}</ul>
        </>
      )}
      {(d.fields ?? []).length > 0 && (
        <>
          <h3>{t('fieldsChanged')}</h3>
          <ul class="chips">{d.fields!.map((f) => <li key={f.field}>{t('fieldRows', { field: fieldTitle(dataset, f.field), n: count(f.rows) })}</li>)}</ul>
        </>
      )}
      <Classes d={d} dataset={dataset} />
    </div>
  );
}

/** A field's alias with its name. */
export function fieldTitle(dataset: string, field: string): string {
  const alias = state.byId.value.get(dataset)?.fields.find((f) => f.name === field)?.alias;
  return alias && alias !== field ? `${alias} ${field}` : field;
}

/** The name of a class by the legend of the layer, where the code is in it. */
function classTitle(dataset: string, code: string): string {
  const known = classOf(state.drawings.value.get(dataset)?.legend, code);
  // The classes of no table are called as their values are.
  return known && known.zh !== code ? both(known.zh, known.en) : '';
}

/** The row of the classes that are counted together. */
function folded(d: Difference, name: string): string {
  const n = foldedIn(d, name);
  return n ? t('foldedClasses', { n: n.before === n.after ? count(n.after) : `${count(n.before)} → ${count(n.after)}` }) : '';
}

function Classes({ d, dataset }: { d: Difference; dataset: string }) {
  const all = useSignal(false);
  const rows = classRows(d);
  if (rows.length === 0) return null;
  const unit = areaUnit(Math.max(d.before.area, d.after.area));
  const hasArea = d.before.area > 0 || d.after.area > 0;
  const differs = rows.filter((r) => r.before.rows !== r.after.rows || signedArea(r.after.area - r.before.area, unit) !== '0');
  const shown = all.value ? rows : differs;
  const column = d.after.column || d.before.column || '';
  return (
    <>
      <h3>{t('byClass', { column: column ? fieldTitle(dataset, column) : t('class') })}{hasArea && <small class="muted"> {t('areaUnit', { unit: both(unit.zh, unit.en) })}</small>}</h3>
      {shown.length === 0 ? <p class="empty small">{t('noClassChanges')}</p> : (
        <div class="scroll" tabIndex={0} role="region" aria-label={t('byClass', { column })}>
          <table class="figures">
            <thead>
              <tr>
                <th scope="col">{t('class')}</th>
                <th scope="col">{t('rowsBefore')}</th>
                <th scope="col">{t('rowsAfter')}</th>
                <th scope="col">{t('change')}</th>
                {hasArea && (
                  <>
                    <th scope="col">{t('areaBefore')}</th>
                    <th scope="col">{t('areaAfter')}</th>
                    <th scope="col">{t('areaChange')}</th>
                    <th scope="col">%</th>
                  </>
                )}
              </tr>
            </thead>
            <tbody>
              {shown.map((r) => (
                <tr key={r.class}>
                  <th scope="row">{folded(d, r.class) || <>{r.class || '—'} <small class="muted">{classTitle(dataset, r.class)}</small></>}</th>
                  <Figures before={r.before} after={r.after} unit={unit} hasArea={hasArea} />
                </tr>
              ))}
            </tbody>
            <tfoot>
              <tr>
                <th scope="row">{t('total')}</th>
                <Figures before={d.before} after={d.after} unit={unit} hasArea={hasArea} />
              </tr>
            </tfoot>
          </table>
        </div>
      )}
      {differs.length < rows.length && (
        <button type="button" class="linkish small" onClick={() => { all.value = !all.value; }}>{all.value ? t('fewerClasses') : t('moreClasses', { n: rows.length })}</button>
      )}
    </>
  );
}

interface Side {
  rows: number;
  area: number;
}

function Figures({ before, after, unit, hasArea }: { before: Side; after: Side; unit: ReturnType<typeof areaUnit>; hasArea: boolean }) {
  const rows = after.rows - before.rows;
  const change = signedArea(after.area - before.area, unit);
  return (
    <>
      <td>{count(before.rows)}</td>
      <td>{count(after.rows)}</td>
      <td class={rows > 0 ? 'more-of' : rows < 0 ? 'less-of' : 'same'}>{signed(rows)}</td>
      {hasArea && (
        <>
          <td>{area(before.area, unit)}</td>
          <td>{area(after.area, unit)}</td>
          <td class={change === '0' ? 'same' : change.startsWith('+') ? 'more-of' : 'less-of'}>{change}</td>
          <td class="muted">{change === '0' ? '' : percent(before.area, after.area)}</td>
        </>
      )}
    </>
  );
}
