import { useEffect, useRef } from 'preact/hooks';
import { DatasetPage } from './dataset';
import { DeliverForm } from './deliver';
import { delivery } from './deliveries';
import { DeliveryList } from './deliverylist';
import { DeliveryPage, zoomTo } from './deliverypage';
import { kindColors, severityColors, severityText } from './deliverywords';
import { FeaturePanel } from './feature';
import type { Page } from './hash';
import { both, lang, setLang, t } from './i18n';
import { KeyBox } from './keybox';
import { LayerPanel } from './layers';
import { datasetTitle } from './marks';
import { Notices } from './notices';
import { ProjectPanel } from './projects';
import * as state from './state';

export function App({ started }: { started: Promise<void> }) {
  useEffect(() => {
    const close = (e: KeyboardEvent) => {
      if (e.key === 'Escape' && !e.defaultPrevented && state.picked.value && !document.querySelector('dialog[open]')) state.pick([]);
    };
    document.addEventListener('keydown', close);
    return () => document.removeEventListener('keydown', close);
  }, []);
  const page = state.page.value;
  const beside = page?.name === 'delivery' || page?.name === 'dataset';
  return (
    <div class={['app', page && 'paged', page && !beside && 'whole', state.mapOpen.value && beside && 'with-map'].filter(Boolean).join(' ')}>
      <Header />
      <Notices />
      <SidePanel />
      <main class="stage">
        <MapView started={started} />
        <MapButtons />
        <AsOf />
        <OverlayLegend />
        <FeaturePanel />
        <Attribution />
      </main>
    </div>
  );
}

function Header() {
  return (
    <header class="top">
      <div class="brand">
        <strong>{both(state.landing.value?.title, state.landing.value?.titleEn) || t('title')}</strong>
        <span>{t('subtitle')}</span>
      </div>
      <KeyBox />
      <button type="button" class="quiet" lang={lang.value === 'zh' ? 'en' : 'zh-CN'} title={t('switchLangTitle')} onClick={() => setLang(lang.value === 'zh' ? 'en' : 'zh')}>
        {t('switchLang')}
      </button>
    </header>
  );
}

function SidePanel() {
  const page = state.page.value;
  const show = (tab: 'layers' | 'projects') => {
    state.panelOpen.value = page !== null || !(state.panelOpen.value && state.tab.value === tab);
    state.tab.value = tab;
    state.go(null);
  };
  return (
    <aside class={state.panelOpen.value || page ? 'side open' : 'side'}>
      <nav class="tabs">
        {(['layers', 'projects'] as const).map((tab) => (
          <button type="button" key={tab} aria-pressed={!page && state.tab.value === tab} onClick={() => show(tab)}>
            {t(tab === 'layers' ? 'tabLayers' : 'tabProjects')}
          </button>
        ))}
        <button type="button" aria-pressed={page !== null} onClick={() => state.go({ name: 'deliveries' })}>{t('tabDeliveries')}</button>
      </nav>
      <div class="side-body" key={page ? 'page' : 'panel'}>{page ? <PageBody page={page} /> : state.tab.value === 'layers' ? <LayerPanel /> : <ProjectPanel />}</div>
    </aside>
  );
}

function PageBody({ page }: { page: Page }) {
  switch (page.name) {
    case 'deliveries':
      return <DeliveryList page={page} />;
    case 'delivery':
      return <DeliveryPage key={page.id} id={page.id} />;
    case 'deliver':
      return <DeliverForm page={page} />;
    case 'dataset':
      return <DatasetPage key={page.id} page={page} />;
  }
}

/** Which layers show another release than the current one, and the way back. */
function AsOf() {
  const shown = [...state.releases.value].filter(([id]) => state.byId.value.has(id));
  if (shown.length === 0) return null;
  return (
    <div class="as-of" role="status">
      {shown.map(([id, n]) => (
        <p key={id}>
          {t('readingAsOf', { title: datasetTitle(id), n })} <button type="button" onClick={() => state.readAsOf(id, null)}>{t('backToCurrent')}</button>
        </p>
      ))}
    </div>
  );
}

/** What the colours of a delivery's changes and findings mean. */
function OverlayLegend() {
  const o = state.overlay.value;
  const d = delivery.value;
  if (!o || !d || state.mapState.value !== 'ready' || (!o.changes && o.findings.features.length === 0)) return null;
  return (
    <section class="overlay-legend" aria-label={t('overlayLegend')}>
      {o.changes && (
        <>
          <span><i style={{ borderColor: kindColors.added, background: `${kindColors.added}60` }} /> {t('legendAdded')}</span>
          <span><i class="dashed" style={{ borderColor: kindColors.removed, background: `${kindColors.removed}60` }} /> {t('legendRemoved')}</span>
          <span><i style={{ borderColor: kindColors.changed, background: `${kindColors.changed}60` }} /> {t('legendChanged')}</span>
        </>
      )}
      {(['block', 'error', 'warn'] as const).map((s) => o.findings.features.some((f) => f.properties?.['severity'] === s) && (
        <span key={s}><i class="ring" style={{ borderColor: severityColors[s] }} /> {t('legendFinding', { severity: severityText(s) })}</span>
      ))}
      <button type="button" class="linkish" onClick={() => zoomTo(d)}>{t('zoomToChanges')}</button>
    </section>
  );
}

function MapView({ started }: { started: Promise<void> }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The map's code is large: the lists are already readable while it comes.
    void Promise.all([import('./map'), started]).then(
      ([map]) => {
        try {
          map.startMap(element.current!);
        } catch (error) {
          console.info('no map:', error);
          state.mapState.value = 'unsupported';
        }
      },
      (error: unknown) => state.notify(error),
    );
  }, []);
  return (
    <>
      <div class="map" ref={element} hidden={state.mapState.value === 'unsupported'} />
      {state.mapState.value === 'loading' && <p class="map-note" role="status">{t('loadingMap')}</p>}
      {state.mapState.value === 'unsupported' && (
        <div class="map-note" role="alert">
          <h2>{t('noWebGL')}</h2>
          <p>{t('noWebGLHelp')}</p>
        </div>
      )}
    </>
  );
}

function MapButtons() {
  if (state.mapState.value !== 'ready') return null;
  const zoom = (delta: number) => void import('./map').then((map) => map.zoomBy(delta));
  return (
    <div class="map-buttons" role="group">
      <button type="button" title={t('zoomIn')} aria-label={t('zoomIn')} onClick={() => zoom(1)}>+</button>
      <button type="button" title={t('zoomOut')} aria-label={t('zoomOut')} onClick={() => zoom(-1)}>−</button>
      <button type="button" class="word" onClick={() => state.zoomTo(state.core.value, state.coreZoom)}>{t('cityCore')}</button>
      <button type="button" class="word" onClick={() => state.zoomTo(state.wholeCity.value)}>{t('wholeCity')}</button>
    </div>
  );
}

function Attribution() {
  // What the bold sentence says need not be said by each source again.
  const texts = new Set(
    (state.collections.value ?? [])
      .filter((c) => state.on.value.has(c.id))
      .flatMap((c) => c.attribution.split(/[；;]/))
      .map((part) => part.trim())
      .filter((part) => part !== '' && !part.includes('非标准地图')),
  );
  return (
    <footer class="attribution">
      <b>{t('illustrative')}</b>
      {texts.size > 0 && <span> · {t('sources')}: {[...texts].join(lang.value === 'zh' ? '；' : '; ')}</span>}
    </footer>
  );
}
