import { useSignal } from '@preact/signals';
import { get } from './api';
import { versionText } from './deliverywords';
import type { Version } from './deliverytypes';
import { versionChange } from './difference';
import { value } from './format';
import { lang, t } from './i18n';
import { organisationName } from './marks';
import * as state from './state';
import type { Collection } from './types';

/** What the picked feature was before, read when it is opened. */
export function History({ c, fid }: { c: Collection; fid: number }) {
  const versions = useSignal<Version[] | null>(null);
  const shown = useSignal(-1);
  const read = (open: boolean) => {
    if (!open) {
      state.pastShape.value = null;
      shown.value = -1;
      return;
    }
    if (versions.value) return;
    get<{ versions: Version[] }>(`/collections/${c.id}/items/${fid}/history`)
      .then((h) => { versions.value = [...h.versions].sort((a, b) => a.revision - b.revision); })
      .catch(state.notify);
  };
  const all = versions.value ?? [];
  return (
    <details class="history" onToggle={(e) => read(e.currentTarget.open)}>
      <summary>{t('history')}</summary>
      {!versions.value ? <p class="empty small" role="status">{t('loadingHistory')}</p> : (
        <ol>
          {all.map((v, i) => {
            const from = value(v.from, 'timestamp', lang.value);
            const before = all[i - 1];
            return (
              <li key={v.revision} data-revision={v.revision}>
                <p>
                  <b>{v.to ? t('versionSpan', { from, to: value(v.to, 'timestamp', lang.value) }) : t('versionNow', { from })}</b>
                </p>
                <p class="muted">
                  <span class="badge">{versionText(v.kind)}</span> {v.release > 0 && t('releaseNumber', { n: v.release })} {v.organisation && organisationName(v.organisation)}
                </p>
                {(v.document || v.note) && <p class="muted">{[v.document, v.note].filter(Boolean).join(' · ')}</p>}
                {before ? <Change before={before} after={v} c={c} /> : <p class="muted">{t('versionFirst')}</p>}
                {v.feature.geometry && all.length > 1 && (
                  <button
                    type="button"
                    class="linkish small"
                    aria-pressed={shown.value === i}
                    onClick={() => {
                      shown.value = shown.value === i ? -1 : i;
                      state.pastShape.value = shown.value === i ? v.feature.geometry : null;
                    }}
                  >
                    {t(shown.value === i ? 'hideShape' : 'showShape')}
                  </button>
                )}
              </li>
            );
          }).reverse()}
        </ol>
      )}
    </details>
  );
}

function Change({ before, after, c }: { before: Version; after: Version; c: Collection }) {
  const { fields, moved } = versionChange(before, after);
  const known = new Map(c.fields.map((f) => [f.name, f]));
  if (fields.length === 0 && !moved) return <p class="muted">{t('versionSame')}</p>;
  return (
    <>
      {moved && <p class="moved">△ {t('versionMoved')}</p>}
      {fields.length > 0 && (
        <table class="attributes">
          <tbody>
            {fields.map(({ field, before: old, after: now }) => {
              const f = known.get(field);
              return (
                <tr key={field}>
                  <th scope="row" title={field}>{f?.alias || field}</th>
                  <td><del>{value(old, f?.type, lang.value)}</del> → <ins>{value(now, f?.type, lang.value)}</ins></td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </>
  );
}
