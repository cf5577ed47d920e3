import type { ComponentChildren } from 'preact';
import { RequestError } from './api';
import { shareOf } from './difference';
import { deliveryStateText, phaseText, severitySigns, severityText, stateSigns } from './deliverywords';
import type { DeliveryState, Progress, Severity } from './deliverytypes';
import { count } from './format';
import { formatPage, type Page } from './hash';
import { both, lang, t } from './i18n';
import * as state from './state';
import { titleOf } from './theme';

/** Small parts that the pages of deliveries share. */

/** A link to a page: a plain one for new tabs, without a reload in this one. */
export function PageLink({ to, children, ...rest }: { to: Page; children: ComponentChildren; class?: string; 'aria-label'?: string }) {
  return (
    <a
      {...rest}
      href={`#${formatPage(to)}`}
      onClick={(e) => {
        if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
        e.preventDefault();
        state.go(to);
      }}
    >
      {children}
    </a>
  );
}

export function StateBadge({ of }: { of: DeliveryState }) {
  return (
    <span class={`state-badge ${of}`} data-state={of}>
      <i aria-hidden="true">{stateSigns[of] ?? '·'}</i>
      {deliveryStateText(of)}
    </span>
  );
}

export function SeverityMark({ of, n }: { of: Severity; n?: number }) {
  return (
    <span class={`severity ${of}`}>
      <i aria-hidden="true">{severitySigns[of]}</i>
      {severityText(of)}
      {n !== undefined && <b> {count(n)}</b>}
    </span>
  );
}

/** Findings by severity, those that are there. */
export function FindingCounts({ of }: { of: { blocking: number; errors: number; warnings: number; refused: number } }) {
  const none = of.blocking + of.errors + of.warnings + of.refused === 0;
  return (
    <span class="finding-counts">
      {of.blocking > 0 && <SeverityMark of="block" n={of.blocking} />}
      {of.errors > 0 && <SeverityMark of="error" n={of.errors} />}
      {of.warnings > 0 && <SeverityMark of="warn" n={of.warnings} />}
      {of.refused > 0 && <span class="muted">{t('refusedOf', { n: count(of.refused) })}</span>}
      {none && <span class="muted">{t('noneFound')}</span>}
    </span>
  );
}

export function ProgressBar({ of }: { of: Progress | null | undefined }) {
  if (!of?.phase) return null;
  const share = shareOf(of);
  const phase = phaseText(of.phase);
  const text = of.total ? t('progressOf', { phase, done: count(of.done ?? 0), total: count(of.total) }) : of.done ? t('progressDone', { phase, done: count(of.done) }) : phase;
  return (
    <span class="progress">
      {share === null ? <progress aria-label={t('progress')} /> : <progress max={1} value={share} aria-label={t('progress')} />}
      <small>{text}</small>
    </span>
  );
}

/** A text of which the platform gives both languages as one, "where: Chinese / English", in the reader's. */
export function oneLanguage(text: string): string {
  const m = /^([^\u2e80-\uffef]*?: )?(.*) \/ (.*)$/s.exec(text);
  return m ? (m[1] ?? '') + (lang.value === 'en' ? m[3] : m[2]) : text;
}

/** A dataset's title where the catalogue has it. */
export function datasetTitle(id: string): string {
  const c = state.byId.value.get(id);
  return c ? titleOf(c) : id;
}

/** An organisation's name where the catalogue tells it. */
export function organisationName(id: string | undefined, name?: string): string {
  if (!id) return '—';
  const me = state.landing.value?.principal;
  if (me?.organisation === id) return both(me.name, me.nameEn) || id;
  const owner = (state.collections.value ?? []).find((c) => c.owner?.id === id)?.owner;
  return owner ? both(owner.name, owner.nameEn) : name || id;
}

export function Failure({ of }: { of: RequestError }) {
  const { title, detail } = of.text;
  return (
    <p class="failure" role="alert">
      <b>{title}</b> {detail}
    </p>
  );
}

/** What a reader without a key is told in place of deliveries. */
export function SignInFirst() {
  return (
    <div class="sign-in-first">
      <h2>{t('deliveriesFor')}</h2>
      <p>{t('deliveriesForHelp')}</p>
    </div>
  );
}

/** What a reader's key is told where files would be delivered. */
export function ReaderOnly() {
  return (
    <div class="sign-in-first">
      <PageLink to={{ name: 'deliveries' }} class="back-link">‹ {t('backToDeliveries')}</PageLink>
      <h2>{t('readerOnly')}</h2>
      <p>{t('readerOnlyHelp')}</p>
    </div>
  );
}

/** On a narrow screen, shows the map over the page and hides it again. */
export function MapToggle() {
  const open = state.mapOpen.value;
  return <button type="button" class="map-toggle" aria-expanded={open} onClick={() => { state.mapOpen.value = !open; }}>{t(open ? 'hideMap' : 'showMap')}</button>;
}
