import { useSignal } from '@preact/signals';
import { count, day } from './format';
import { both, t } from './i18n';
import { PageLink } from './marks';
import * as state from './state';
import { groupOf, groups, themeOf, titleOf } from './theme';
import type { Collection } from './types';
import type { Key } from './zh';

const sharing: Record<Collection['sharing'], Key> = { public: 'sharingPublic', internal: 'sharingInternal', private: 'sharingPrivate' };

export function LayerPanel() {
  const search = useSignal('');
  const all = state.collections.value;
  if (!all) return <p class="empty" role="status">{t('loadingLayers')}</p>;
  if (all.length === 0) return <p class="empty">{t('noLayers')}</p>;
  const q = search.value.trim().toLowerCase();
  const matching = all.filter((c) => `${c.title}\n${c.titleEn}\n${c.id}`.toLowerCase().includes(q));
  return (
    <>
      <input
        class="search"
        type="search"
        placeholder={t('searchLayers')}
        aria-label={t('searchLayers')}
        value={search.value}
        onInput={(e) => { search.value = e.currentTarget.value; }}
      />
      {matching.length === 0 && <p class="empty">{t('noLayerMatches', { q: search.value.trim() })}</p>}
      {groups.map(([group, title]) => {
        const members = matching.filter((c) => groupOf(c) === group);
        return members.length > 0 && (
          <section key={group} class="group">
            <h2>{t(title)}</h2>
            <ul>{members.map((c) => <LayerRow key={c.id} c={c} />)}</ul>
          </section>
        );
      })}
    </>
  );
}

function LayerRow({ c }: { c: Collection }) {
  const on = state.on.value.has(c.id);
  const from = state.drawings.value.get(c.id)?.source.minzoom ?? 0;
  const tooFar = on && state.view.value !== null && state.view.value.zoom < from;
  const legend = state.drawings.value.get(c.id)?.legend.classes ?? [];
  const owner = c.owner ? both(c.owner.name, c.owner.nameEn) : t('platform');
  const box = c.extent?.spatial?.bbox?.[0];
  return (
    <li class="layer" data-collection={c.id}>
      <div class="layer-head">
        <label>
          <input type="checkbox" checked={on} onChange={() => state.toggle(c.id)} />
          <Swatch c={c} />
          <span class="layer-name">{titleOf(c)}</span>
        </label>
        {c.sharing !== 'public' && <span class={`badge ${c.sharing}`}>{t(sharing[c.sharing])}</span>}
        {c.synthetic && <span class="badge synthetic" title={t('syntheticTitle')}>{t('synthetic')}</span>}
        {box && (
          <button type="button" class="icon" title={t('zoomTo')} aria-label={`${t('zoomTo')}: ${titleOf(c)}`} onClick={() => state.zoomTo(box)}>
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" /></svg>
          </button>
        )}
      </div>
      {tooFar && <p class="too-far">{t('zoomInToSee', { z: from })}</p>}
      <details open={on && themeOf(c).kind === 'landuse'}>
        <summary>
          <span>{owner}</span> · <span>{c.kind === 'edited' ? t('edited') : t('releaseOf', { n: c.release, day: day(c.released) })}</span> · <span>{t('rowsOf', { n: count(c.rows) })}</span>
        </summary>
        {legend.length > 0 && (
          <ul class="legend" aria-label={t('legend')}>
            {legend.map((k) => (
              <li key={k.zh}>
                {k.icon ? <Icon name={k.icon} disc={themeOf(c).kind === 'places' ? null : k.color} /> : <i style={{ background: k.color }} class={themeOf(c).kind === 'roads' ? 'line' : undefined} />}
                {both(k.zh, k.en)}
              </li>
            ))}
          </ul>
        )}
        {c.description && <p class="about">{c.description}</p>}
        <p class="about">
          <span class={`badge ${c.sharing}`}>{t(sharing[c.sharing])}</span> <code>{c.id}</code> {c.geometryType} {c.kind === 'edited' && t('releaseOf', { n: c.release, day: day(c.released) })}
          {c.attribution && <><br />{c.attribution}</>}
        </p>
        {c.kind === 'delivered' && <p class="about"><PageLink to={{ name: 'dataset', id: c.id }}>{t('openDataset')}</PageLink></p>}
      </details>
    </li>
  );
}

/** An icon of the map, on a disc or by itself. */
function Icon({ name, disc }: { name: string; disc: string | null }) {
  const sheet = state.sprite.value;
  const at = sheet?.index[name];
  const picture = sheet && at ? `image-set(url("${sheet.url}.png") 1x, url("${sheet.url}@2x.png") 2x) ${-at.x}px ${-at.y}px` : '';
  return <span class="swatch" aria-hidden="true" style={{ background: `${picture} ${disc ?? ''}` }} />;
}

/** The manner in which a layer is drawn, in little. */
export function Swatch({ c }: { c: Collection }) {
  const legend = state.drawings.value.get(c.id)?.legend ?? {};
  const classes = legend.classes ?? [];
  const last = classes[classes.length - 1];
  const color = legend.color ?? last?.color ?? '#8a8378';
  const icon = legend.icon ?? last?.icon;
  switch (themeOf(c).kind) {
    case 'symbol':
      if (icon) return <Icon name={icon} disc={color} />;
      break;
    case 'boundary':
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><rect x="2" y="3" width="14" height="12" fill="#fbf7ee" stroke="#8d6a86" stroke-width="1.4" stroke-dasharray="4 1.6 1 1.6" /></svg>;
    case 'places':
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><circle cx="9" cy="9" r="4" fill="#fffdf8" stroke="#a2463c" stroke-width="1.8" /></svg>;
    case 'water':
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><path d="M1 12c4-7 6 2 9-3s4-4 7-4" fill="none" stroke="#6fb0d6" stroke-width="2.6" stroke-linecap="round" /></svg>;
    case 'roads':
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><path d="M1 13 17 5" stroke="#b8a688" stroke-width="6" /><path d="M1 13 17 5" stroke="#f8dc94" stroke-width="3.6" /></svg>;
    case 'buildings':
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><path d="M3 4h7v4h5v7H3z" fill="#d8cdbf" stroke="#ab9d8b" /></svg>;
    case 'landuse':
    case 'planning': {
      const [a, b, d, e] = classes.filter((_, i) => i < 10 && i % 2 === 0);
      return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><path d="M2 2h7v7H2z" fill={a?.color} /><path d="M9 2h7v7H9z" fill={b?.color} /><path d="M2 9h7v7H2z" fill={d?.color} /><path d="M9 9h7v7H9z" fill={e?.color} /><path d="M2 2h14v14H2z" fill="none" stroke="#7a6a50" stroke-opacity=".5" /></svg>;
    }
  }
  return <svg class="swatch" viewBox="0 0 18 18" aria-hidden="true"><rect x="3" y="3" width="12" height="12" rx="3" fill={color} fill-opacity=".5" stroke={color} stroke-width="1.4" /></svg>;
}
