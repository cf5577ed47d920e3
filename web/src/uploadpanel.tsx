import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Delivery } from './deliverytypes';
import { bytes, duration } from './difference';
import { lang, t } from './i18n';
import { Failure } from './marks';
import { begun, startUpload, unlike, uploads, type FileState, type Upload } from './upload';
import type { Key } from './zh';

const fileStates: Record<FileState, Key> = { waiting: 'fileWaiting', sending: 'fileSending', done: 'fileDone', failed: 'fileFailed' };

/** The upload of a delivery whose files are coming: its course, or after a reload the way to go on. */
export function UploadPanel({ d, submitted }: { d: Delivery; submitted: () => void }) {
  const upload = uploads.value.get(d.delivery);
  return (
    <section class="part" data-part="upload">
      {upload ? <Course upload={upload} submitted={submitted} /> : <Again id={d.delivery} />}
    </section>
  );
}

function Course({ upload, submitted }: { upload: Upload; submitted: () => void }) {
  const state = upload.state.value;
  const rows = upload.rows.value;
  const share = upload.share;
  const sent = rows.reduce((sum, f) => sum + f.sent, 0);
  const total = rows.reduce((sum, f) => sum + f.size, 0);
  const duplicate = upload.error.value?.problem?.type === '/problems/delivery-duplicate';
  useEffect(() => {
    if (state === 'submitted') submitted();
  }, [state]);
  const title: Record<typeof state, Key> = {
    sending: 'uploading', paused: 'uploadPaused', broken: 'uploadBroken', refused: 'uploadRefused', submitting: 'uploadSubmitting', submitted: 'uploadSubmitted',
  };
  return (
    <>
      <h2 aria-live="polite">{t(title[state])}</h2>
      <p class="upload-bar">
        <progress max={1} value={share} aria-label={t('progress')} />
        <b>{Math.floor(share * 100)}%</b>
      </p>
      <p class="row">
        <span class="muted">{bytes(sent)} / {bytes(total)}{upload.left.value !== null && ` · ${t('uploadLeft', { time: duration(upload.left.value, lang.value) })}`}</span>
        {state === 'sending' && <button type="button" onClick={() => upload.pause()}>{t('pauseUpload')}</button>}
        {duplicate ? <button type="button" class="primary" onClick={() => void upload.resume(true)}>{t('submitRepeat')}</button> : (state === 'paused' || state === 'broken' || state === 'refused') && <button type="button" class="primary" onClick={() => void upload.resume()}>{t('resumeUpload')}</button>}
      </p>
      {upload.error.value && <Failure of={upload.error.value} />}
      <ul class="upload-files">
        {rows.map((f) => (
          <li key={f.name} data-file={f.name} data-state={f.state}>
            <span class="file">{f.name}</span>
            <span class="muted">{bytes(f.size)}</span>
            <span class={f.state === 'failed' ? 'error' : 'muted'}>{t(fileStates[f.state])}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function Again({ id }: { id: number }) {
  const problem = useSignal('');
  const known = begun(id);
  const choose = (chosen: File[]) => {
    const { changed, missing } = unlike(id, chosen);
    const separator = lang.value === 'zh' ? '、' : ', ';
    problem.value = changed.length > 0 ? t('uploadDiffers', { names: changed.join(separator) }) : missing.length > 0 ? t('uploadMissing', { names: missing.join(separator) }) : '';
    if (problem.value === '' && chosen.length > 0) startUpload(id, chosen, false);
  };
  return (
    <>
      <h2>{t('uploadAgain')}</h2>
      <p>{t('uploadAgainHelp')}</p>
      {known.length > 0 && <p class="muted">{t('uploadAgainFiles')} {known.map((k) => <span class="file" key={k.name}>{k.name} <small>{bytes(k.size)}</small></span>)}</p>}
      <FileDrop choose={choose} />
      {problem.value && <p class="failure" role="alert">{problem.value}</p>}
    </>
  );
}

/** Files by dragging or by choosing. */
export function FileDrop({ choose }: { choose: (files: File[]) => void }) {
  const over = useSignal(false);
  return (
    <div
      class={over.value ? 'drop over' : 'drop'}
      onDragOver={(e) => { e.preventDefault(); over.value = true; }}
      onDragLeave={() => { over.value = false; }}
      onDrop={(e) => {
        e.preventDefault();
        over.value = false;
        choose([...(e.dataTransfer?.files ?? [])]);
      }}
    >
      <p>
        {t('dropFiles')}{' '}
        <label class="button">
          {t('chooseFiles')}
          <input
            type="file"
            name="files"
            multiple
            onChange={(e) => {
              choose([...(e.currentTarget.files ?? [])]);
              e.currentTarget.value = ''; // the same file may be chosen again
            }}
          />
        </label>
      </p>
      <p class="muted small">{t('dropHelp')}</p>
    </div>
  );
}
