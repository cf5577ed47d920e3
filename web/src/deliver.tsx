import { useSignal } from '@preact/signals';
import { post, RequestError } from './api';
import { DatasetField } from './datasetfield';
import { mayDeliver } from './deliveries';
import type { Delivery, Mode } from './deliverytypes';
import { bytes } from './difference';
import { count } from './format';
import type { Page } from './hash';
import { both, t } from './i18n';
import { Failure, PageLink, ReaderOnly, SignInFirst } from './marks';
import * as state from './state';
import { titleOf } from './theme';
import { startUpload } from './upload';
import { FileDrop } from './uploadpanel';
import type { Key } from './zh';

const modes: [Mode, Key][] = [['full', 'modeFull'], ['changes', 'modeChanges'], ['append', 'modeAppend']];

/** The texts of the form by the names of the contract; those below "settings." are of a new dataset. */
type Values = Record<string, string>;

/** Makes a delivery and begins the upload of its files. */
export function DeliverForm({ page }: { page: Extract<Page, { name: 'deliver' }> }) {
  const dataset = useSignal(page.dataset ?? '');
  const mode = useSignal<Mode>('full');
  const files = useSignal<File[]>([]);
  const values = useSignal<Values>({});
  const repeat = useSignal(false);
  const busy = useSignal(false);
  const error = useSignal<RequestError | null>(null);
  const incomplete = useSignal(false);
  const principal = state.landing.value?.principal;
  if (state.landing.value && !principal?.organisation) return <SignInFirst />;
  if (state.landing.value && !mayDeliver(principal)) return <ReaderOnly />;

  const known = state.byId.value.get(dataset.value);
  const fresh = dataset.value !== '' && !known;
  const set = (name: string) => (e: { currentTarget: { value: string } }) => { values.value = { ...values.value, [name]: e.currentTarget.value }; };
  const add = (chosen: File[]) => {
    const names = new Set(chosen.map((f) => f.name));
    files.value = [...files.value.filter((f) => !names.has(f.name)), ...chosen];
    incomplete.value = false;
  };

  async function submit(e: Event) {
    e.preventDefault();
    if (busy.value) return;
    incomplete.value = files.value.length === 0;
    if (incomplete.value) return;
    busy.value = true;
    error.value = null;
    try {
      const d = await post<Delivery>('/deliveries', requestOf(dataset.value, mode.value, values.value, repeat.value, fresh));
      startUpload(d.delivery, files.value, true);
      state.go({ name: 'delivery', id: d.delivery });
    } catch (failure) {
      error.value = failure instanceof RequestError ? failure : new RequestError(0, null);
    } finally {
      busy.value = false;
    }
  }

  const text = (name: string, label: Key, hint?: Key, max = 200) => (
    <label>
      {t(label)}
      <input name={name} maxLength={max} value={values.value[name] ?? ''} placeholder={hint && t(hint)} onInput={set(name)} />
    </label>
  );
  return (
    <section class="deliver" aria-label={t('deliverTitle')}>
      <header class="page-head">
        <div>
          <PageLink to={{ name: 'deliveries' }} class="back-link">‹ {t('backToDeliveries')}</PageLink>
          <h1>{t('deliverTitle')}</h1>
        </div>
      </header>
      <form class="deliver-form" onSubmit={(e) => void submit(e)}>
        <fieldset class="wide-field">
          <legend>{t('deliverFiles')}</legend>
          <FileDrop choose={add} />
          {files.value.length > 0 && (
            <ul class="upload-files">
              {files.value.map((f) => (
                <li key={f.name}>
                  <span class="file">{f.name}</span>
                  <span class="muted">{bytes(f.size)}</span>
                  <button type="button" class="icon" aria-label={t('removeFile', { name: f.name })} onClick={() => { files.value = files.value.filter((x) => x !== f); }}>×</button>
                </li>
              ))}
            </ul>
          )}
          {incomplete.value && <p class="failure" role="alert">{t('filesMissing')}</p>}
        </fieldset>
        <div class="field">
          <label>{t('deliverDataset')}<DatasetField name="dataset" value={dataset.value} describedBy="dataset-help" onInput={(id) => { dataset.value = id; }} /></label>
          <p class="muted small" id="dataset-help">
            {known ? t('deliverInto', { title: titleOf(known), n: known.release, rows: count(known.rows) }) : fresh ? t('deliverNew', { id: dataset.value }) : t('deliverDatasetHint')}
            {known?.owner && known.owner.id !== principal?.organisation && <><br />{t('deliverForeign', { owner: both(known.owner.name, known.owner.nameEn) })}</>}
          </p>
        </div>
        <div class="field">
          <label>
            {t('deliverMode')}
            <select name="mode" value={mode.value} onChange={(e) => { mode.value = e.currentTarget.value as Mode; }}>
              {modes.map(([id, name]) => <option key={id} value={id}>{t(name)}</option>)}
            </select>
          </label>
          {mode.value === 'changes' && text('changeField', 'changeField', 'changeFieldHint')}
        </div>
        {text('geometryColumns', 'geometryColumns', 'geometryColumnsHint')}
        {text('document', 'document', 'decideDocumentHint')}
        <label>
          {t('note')}
          <textarea name="note" rows={2} maxLength={2000} value={values.value['note'] ?? ''} onInput={set('note')} />
        </label>
        {fresh && (
          <fieldset class="wide-field grid">
            <legend>{t('newDatasetSettings')}</legend>
            {text('settings.titleZh', 'titleZh')}
            {text('settings.titleEn', 'titleEn')}
            <label>
              {t('sharing')}
              <select name="settings.sharing" value={values.value['settings.sharing'] ?? ''} onChange={set('settings.sharing')}>
                <option value="">{t('sharingDefault')}</option>
                <option value="public">{t('sharingPublic')}</option>
                <option value="internal">{t('sharingInternal')}</option>
                <option value="private">{t('sharingPrivate')}</option>
              </select>
            </label>
            <label>
              {t('approval')}
              <select name="settings.approval" value={values.value['settings.approval'] ?? ''} onChange={set('settings.approval')}>
                <option value="">{t('approvalDefault')}</option>
                <option value="automatic">{t('approvalAutomatic')}</option>
                <option value="approval">{t('approvalApproval')}</option>
                <option value="four-eyes">{t('approvalFourEyes')}</option>
              </select>
            </label>
            {text('settings.profile', 'settingProfile', 'settingProfileHint')}
            {text('settings.businessKey', 'settingKey')}
            {text('settings.label', 'settingLabel')}
            {text('settings.class', 'settingClass')}
          </fieldset>
        )}
        <details class="wide-field">
          <summary>{t('deliverMore')}</summary>
          <div class="grid">
            {text('encoding', 'encoding', 'encodingHint', 40)}
            <label>
              {t('crsEPSG')}
              <input name="crs" inputMode="numeric" pattern="[0-9]{4,6}" value={values.value['crs'] ?? ''} placeholder={t('crsHint')} onInput={set('crs')} />
            </label>
            <label>
              {t('invalidPolicy')}
              <select name="invalid" value={values.value['invalid'] ?? 'repair'} onChange={set('invalid')}>
                <option value="repair">{t('policyRepair')}</option>
                <option value="refuse">{t('policyRefuse')}</option>
              </select>
            </label>
            <label class="check"><input type="checkbox" checked={repeat.value} onChange={(e) => { repeat.value = e.currentTarget.checked; }} /> {t('repeatDelivery')}</label>
          </div>
        </details>
        {error.value && <div class="wide-field"><Failure of={error.value} /></div>}
        <div class="wide-field actions">
          <button type="submit" class="primary big" disabled={busy.value}>{busy.value ? t('creating') : t('startDelivery')}</button>
        </div>
      </form>
    </section>
  );
}

/** The request that the form makes: what was left empty is left out. */
export function requestOf(dataset: string, mode: Mode, values: Values, repeat: boolean, fresh: boolean): Record<string, unknown> {
  const filled = Object.entries(values).map(([name, text]) => [name, text.trim()] as const).filter(([, text]) => text !== '');
  const of = (prefix: string) => Object.fromEntries(filled.filter(([name]) => name.startsWith(prefix)).map(([name, text]) => [name.slice(prefix.length), text]));
  const { crs, changeField, ...rest } = Object.fromEntries(filled.filter(([name]) => !name.startsWith('settings.')));
  const settings = fresh ? of('settings.') : {};
  return {
    ...(dataset ? { dataset } : {}),
    mode,
    ...rest,
    ...(crs && /^\d+$/.test(crs) ? { crs: Number(crs) } : {}),
    ...(changeField && mode === 'changes' ? { changeField } : {}),
    ...(repeat ? { repeat } : {}),
    ...(Object.keys(settings).length > 0 ? { settings } : {}),
  };
}
