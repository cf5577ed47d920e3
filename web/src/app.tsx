import { useEffect, useRef } from 'preact/hooks';
import { FeaturePanel } from './feature';
import { both, lang, setLang, t } from './i18n';
import { KeyBox } from './keybox';
import { LayerPanel } from './layers';
import { Notices } from './notices';
import { ProjectPanel } from './projects';
import * as state from './state';

export function App({ started }: { started: Promise<void> }) {
  useEffect(() => {
    const close = (e: KeyboardEvent) => {
      if (e.key === 'Escape' && !e.defaultPrevented && state.picked.value) state.pick([]);
    };
    document.addEventListener('keydown', close);
    return () => document.removeEventListener('keydown', close);
  }, []);
  return (
    <div class="app">
      <Header />
      <Notices />
      <SidePanel />
      <main class="stage">
        <MapView started={started} />
        <MapButtons />
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
  const show = (tab: 'layers' | 'projects') => {
    state.panelOpen.value = !(state.panelOpen.value && state.tab.value === tab);
    state.tab.value = tab;
  };
  return (
    <aside class={state.panelOpen.value ? 'side open' : 'side'}>
      <nav class="tabs">
        {(['layers', 'projects'] as const).map((tab) => (
          <button type="button" key={tab} aria-pressed={state.tab.value === tab} onClick={() => show(tab)}>
            {t(tab === 'layers' ? 'tabLayers' : 'tabProjects')}
          </button>
        ))}
      </nav>
      <div class="side-body">{state.tab.value === 'layers' ? <LayerPanel /> : <ProjectPanel />}</div>
    </aside>
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
