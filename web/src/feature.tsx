import { useSignal, useSignalEffect } from '@preact/signals';
import { get, local } from './api';
import { day, value } from './format';
import { History } from './history';
import { both, lang, t } from './i18n';
import { boxOf } from './labels';
import { Swatch } from './layers';
import * as state from './state';
import { titleOf } from './theme';
import type { Field, FieldType, ProjectRole } from './types';
import { columnText, roleText, stateText } from './words';

/** Everything about the picked feature, over the map. */
export function FeaturePanel() {
  const projects = useSignal<ProjectRole[] | null>(null);
  const copied = useSignal(false);
  useSignalEffect(() => {
    const f = state.feature.value;
    projects.value = null;
    copied.value = false;
    // Projects are about what is there today, which a feature read as of a release may not be.
    if (!f || state.releases.value.has(f.collection)) return;
    const request = new AbortController();
    get<{ projects: ProjectRole[] }>(`/collections/${f.collection}/items/${f.id}/projects`, { signal: request.signal })
      .then((answer) => {
        projects.value = answer.projects;
      })
      .catch((error: unknown) => {
        if (!request.signal.aborted) state.notify(error);
      });
    return () => request.abort();
  });

  const p = state.picked.value;
  const c = p && state.byId.value.get(p.collection);
  if (!p || !c) return null;
  const f = state.feature.value;
  const title = titleOf(c);
  const name = f && c.label ? f.properties[c.label] : null;
  const link = local(`/collections/${p.collection}/items/${p.fid}`);

  async function copy() {
    try {
      await navigator.clipboard.writeText(link);
      copied.value = true;
    } catch {
      state.notify(new Error(t('clipboardFailed', { url: link })));
    }
  }

  return (
    <section class="feature" aria-label={t('feature')} data-feature={`${p.collection}/${p.fid}`}>
      <header>
        <div>
          <p class="kicker"><Swatch c={c} /> {title}</p>
          <h2>{name ? String(name) : t('featureOf', { title, fid: p.fid })}</h2>
          {f && <p class="release">{f.release === c.release ? t('releaseOf', { n: f.release, day: day(c.released) }) : t('releaseNumber', { n: f.release })}</p>}
        </div>
        <button type="button" class="icon" aria-label={t('close')} title={t('close')} onClick={() => state.pick([])}>×</button>
      </header>
      <div class="feature-body">
        {state.under.value.length > 1 && <Under />}
        {!f ? <p class="empty" role="status">{t('loadingFeature')}</p> : (
          <>
            <table class="attributes" aria-label={t('attributes')}>
              <tbody>
                {rows(f.properties, c.fields).map(([field, label, type]) => (
                  <tr key={field}>
                    <th scope="row" title={field}>{label}</th>
                    <td data-field={field}>{columnText(c.id, field, f.properties[field]) ?? value(f.properties[field], type, lang.value)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            <div class="actions">
              {f.geometry && <button type="button" onClick={() => state.zoomTo(boxOf(f.geometry!))}>{t('zoomToFeature')}</button>}
              <button type="button" onClick={() => void copy()}>{copied.value ? t('copied') : t('copyLink')}</button>
              <a href={`${link}?f=json`} target="_blank" rel="noreferrer">{t('openLink')}</a>
            </div>
            {c.id === 'projects' && typeof f.properties['code'] === 'string' && (
              <p><button type="button" class="primary" onClick={() => state.openProject(String(f.properties['code']))}>{t('openProject')}</button></p>
            )}
            {c.kind === 'delivered' && <History key={`${c.id}/${p.fid}`} c={c} fid={p.fid} />}
            {projects.value !== null && c.id !== 'projects' && (
              <>
                <h3>{t('relatedProjects')}</h3>
                {projects.value.length === 0 ? <p class="empty small">{t('noProjects')}</p> : (
                  <ul class="links">
                    {projects.value.map((r) => (
                      <li key={`${r.code}/${r.role}`}>
                        <button type="button" class="linkish" onClick={() => state.openProject(r.code)}>{both(r.name, r.nameEn)}</button>
                        <span class="badge">{roleText(r.role)}</span> <span class="muted">{stateText(r.state)}</span>
                      </li>
                    ))}
                  </ul>
                )}
              </>
            )}
          </>
        )}
      </div>
    </section>
  );
}

/** The other features under the same click. */
function Under() {
  const others = state.under.value;
  return (
    <details class="under">
      <summary>{t('alsoHere', { n: others.length - 1 })}</summary>
      <ul class="links">
        {others.map((o) => {
          const c = state.byId.value.get(o.collection);
          return c && (
            <li key={`${o.collection}/${o.fid}`}>
              <button type="button" class="linkish" aria-current={state.picked.value === o} onClick={() => { state.picked.value = o; }}>
                <Swatch c={c} /> {titleOf(c)} <span class="muted">{o.fid}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </details>
  );
}

type Row = [field: string, label: string, type: FieldType | undefined];

/** Declared fields in their order, then what the feature has beyond them. */
function rows(properties: Record<string, unknown>, fields: Field[]): Row[] {
  const declared = fields.filter((f) => f.name in properties).map((f): Row => [f.name, f.alias || f.name, f.type]);
  const known = new Set(fields.map((f) => f.name));
  const rest = Object.keys(properties).filter((k) => !known.has(k)).map((k): Row => [k, k, undefined]);
  return [...declared, ...rest];
}
