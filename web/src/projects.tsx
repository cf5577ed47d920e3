import { signal, useSignalEffect } from '@preact/signals';
import { get } from './api';
import { count, daysBetween, money } from './format';
import { both, lang, t } from './i18n';
import * as state from './state';
import { titleOf } from './theme';
import type { Asset, Figure, Project, ProjectDetail, ProjectPage, Statistics } from './types';
import { categoryText, fundText, milestones, resultText, roleText, stateText } from './words';
import type { Key } from './zh';

/** The half year whose report the office publishes with the sample. */
const period = { from: '2012-01-01', to: '2012-06-30' };

// The list outlives the panel: going to the layers and back keeps it.
const search = signal('');
/** The figure whose projects are listed; null for all. */
const figure = signal<Figure | null>(null);
const list = signal<{ projects: Project[]; matched: number; next: string | null } | null>(null);
const statistics = signal<Statistics | null>(null);

let listing: AbortController | null = null;
let listedFor: string | null = null;

function address(): string {
  // A figure's own address holds exactly its projects.
  const query = new URLSearchParams(figure.value?.href.split('?')[1] ?? '');
  if (search.value.trim()) query.set('q', search.value.trim());
  query.set('limit', '50');
  return `/projects?${query}`;
}

async function load(path: string, more: boolean): Promise<void> {
  listing?.abort();
  const request = (listing = new AbortController());
  try {
    const page = await get<ProjectPage>(path, { signal: request.signal });
    const next = page.links.find((l) => l.rel === 'next')?.href ?? null;
    const before = more ? (list.value?.projects ?? []) : [];
    list.value = { projects: [...before, ...page.projects], matched: page.numberMatched, next };
  } catch (error) {
    if (request.signal.aborted) return;
    listedFor = null;
    state.notify(error);
  }
}

export function ProjectPanel() {
  useSignalEffect(() => {
    const path = address();
    // A change of who asks may change what there is.
    const wanted = `${path} ${state.landing.value?.principal.organisation ?? ''}`;
    if (listedFor === wanted) return;
    listedFor = wanted;
    const wait = setTimeout(() => void load(path, false), list.peek() ? 250 : 0);
    return () => clearTimeout(wait);
  });
  useSignalEffect(() => {
    if (statistics.value || !state.landing.value) return;
    get<Statistics>(`/statistics?from=${period.from}&to=${period.to}`).then((s) => { statistics.value = s; }).catch(state.notify);
  });
  return state.projectCode.value ? <Detail /> : <List />;
}

function List() {
  const l = list.value;
  return (
    <>
      {statistics.value && <Report s={statistics.value} />}
      <input
        class="search"
        type="search"
        placeholder={t('searchProjects')}
        aria-label={t('searchProjects')}
        value={search.value}
        maxLength={100}
        onInput={(e) => { search.value = e.currentTarget.value; }}
      />
      {figure.value && (
        <p class="filter">
          {t('filterBy', { title: both(figure.value.title, figure.value.titleEn) })}
          <button type="button" class="linkish" onClick={() => { figure.value = null; }}>{t('clearFilter')}</button>
        </p>
      )}
      {!l ? <p class="empty" role="status">{t('loadingProjects')}</p> : l.projects.length === 0 ? <p class="empty">{t('noProjectMatches')}</p> : (
        <>
          <p class="muted small" role="status">{t('projectsMatched', { n: count(l.matched) })}</p>
          <ul class="projects">
            {l.projects.map((p) => (
              <li key={p.code}>
                <button type="button" onClick={() => state.openProject(p.code)}>
                  <b>{both(p.name, p.nameEn)}</b>
                  <span class="muted">{p.code} · {p.unit}</span>
                  <span class="row"><span class="badge">{stateText(p.state)}</span><span>{money(p.approvedAmount ?? p.declaredAmount, lang.value)}</span></span>
                </button>
              </li>
            ))}
          </ul>
          {l.next && <button type="button" class="more" onClick={() => void load(l.next!, true)}>{t('more')}</button>}
        </>
      )}
    </>
  );
}

const amountNames: [keyof NonNullable<Figure['amounts']>, Key][] = [
  ['declared', 'amountDeclared'],
  ['approved', 'amountApproved'],
  ['plan', 'amountPlan'],
  ['cut', 'amountCut'],
];

function Report({ s }: { s: Statistics }) {
  return (
    <section class="report" aria-label={t('halfYear')}>
      <h2>{t('halfYear')}</h2>
      <p>{both(s.sentence, s.sentenceEn)}</p>
      <ul>
        {s.figures.map((f) => (
          <li key={f.id}>
            <button type="button" aria-pressed={figure.value?.id === f.id} onClick={() => { figure.value = figure.value?.id === f.id ? null : f; }}>
              <b>{f.rate ? `${f.rate}%` : count(f.count)}</b>
              <span>{both(f.title, f.titleEn)}</span>
              {amountNames.map(([name, key]) => f.amounts?.[name] && <small key={name}>{t(key)} {money(f.amounts[name], lang.value)}</small>)}
              {f.rate && <small>{t('projectsMatched', { n: count(f.count) })}</small>}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Detail() {
  const p = state.project.value;
  return (
    <section class="project" data-project={state.projectCode.value}>
      <button type="button" class="linkish back" onClick={() => state.openProject(null)}>‹ {t('back')}</button>
      {!p ? <p class="empty" role="status">{t('loadingProjects')}</p> : (
        <>
          <h2>{both(p.name, p.nameEn)}</h2>
          <p class="muted">{p.code} <span class="badge">{stateText(p.state)}</span></p>
          {p.description && <p>{p.description}</p>}
          <dl>
            <Pair name={t('unit')} value={p.unit} />
            <Pair name={t('category')} value={categoryText(p.category)} />
            <Pair name={t('fund')} value={fundText(p.fund)} />
            <Pair name={t('planYear')} value={p.planYear ? String(p.planYear) : null} />
            <Amount name={t('amountDeclared')} yuan={p.declaredAmount} />
            <Amount name={t('amountApproved')} yuan={p.approvedAmount} />
            <Amount name={t('amountPlan')} yuan={p.planAmount} />
            <Pair name={t('acceptanceResult')} value={p.acceptanceResult && resultText(p.acceptanceResult)} />
          </dl>
          <h3>{t('timeline')}</h3>
          <Timeline p={p} />
          <h3>{t('projectAssets', { n: p.assets.length })}</h3>
          {p.bbox ? (
            <p><button type="button" onClick={() => state.zoomTo(p.bbox)}>{t('locateProject')}</button></p>
          ) : <p class="empty small">{t('noPlace')}</p>}
          {p.assets.length === 0 ? <p class="empty small">{t('noAssets')}</p> : (
            <ul class="links">{p.assets.map((a) => <AssetRow key={`${a.collection}/${a.id}/${a.role}`} a={a} />)}</ul>
          )}
        </>
      )}
    </section>
  );
}

function Pair({ name, value }: { name: string; value: string | null | undefined }) {
  return value ? <><dt>{name}</dt><dd>{value}</dd></> : null;
}

function Amount({ name, yuan }: { name: string; yuan: string | null }) {
  return yuan ? <><dt>{name}</dt><dd title={`¥ ${yuan}`}>{money(yuan, lang.value)}</dd></> : null;
}

function Timeline({ p }: { p: ProjectDetail }) {
  let last: string | null = null;
  return (
    <ol class="timeline">
      {milestones(p).map(({ key, date }) => {
        const days = daysBetween(last, date);
        if (date) last = date;
        return (
          <li key={key} class={date ? 'done' : undefined}>
            <span>{t(key)}</span>
            {date ? <time dateTime={date}>{date}</time> : <span class="muted">{t('notYet')}</span>}
            {days !== null && <small class="muted">{t('afterDays', { n: days })}</small>}
          </li>
        );
      })}
    </ol>
  );
}

function AssetRow({ a }: { a: Asset }) {
  const c = state.byId.value.get(a.collection);
  const select = () => {
    if (a.bbox) state.zoomTo(a.bbox);
    state.pick([{ collection: a.collection, fid: a.id }]);
  };
  return (
    <li>
      {a.present && c ? <button type="button" class="linkish" onClick={select}>{a.title || `${a.collection}/${a.id}`}</button> : <span>{a.title || `${a.collection}/${a.id}`}</span>}{' '}
      <span class="badge">{roleText(a.role)}</span> <span class="muted">{c ? titleOf(c) : a.collection}</span>
      {!a.present && <small class="error"> {t('assetGone')}</small>}
    </li>
  );
}
