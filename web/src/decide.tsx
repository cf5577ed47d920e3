import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { RequestError } from './api';
import { decide, undecided } from './deliveries';
import { actionsIn, actionText } from './deliverywords';
import type { Delivery, DeliveryAction } from './deliverytypes';
import { count } from './format';
import { both, lang, t } from './i18n';
import { datasetTitle, Failure } from './marks';
import type { Key } from './zh';

const help: Record<DeliveryAction, Key> = { approve: 'approveHelp', reject: 'rejectHelp', withdraw: 'withdrawHelp', retry: 'retryHelp', cancel: 'cancelHelp' };

/** The actions that a delivery's state allows and this key may take, as the server says. */
export function Decide({ d, decided }: { d: Delivery; decided: () => void }) {
  const asked = useSignal<DeliveryAction | null>(null);
  const actions = actionsIn(d.state).filter((action) => d.may?.includes(action));
  const waiting = undecided(d) ? (d.decisions ?? []).findLast((x) => !x.carried) : undefined;
  if (waiting) {
    return (
      <p class="caution" role="status">
        {t('decisionSent', { action: actionText(waiting.action) })}
      </p>
    );
  }
  if (actions.length === 0) return null;
  return (
    <div class="decide" role="group" aria-label={t('decide')}>
      {actions.map((action) => (
        <button type="button" key={action} data-action={action} class={action === 'approve' ? 'primary' : action === 'reject' ? 'danger' : ''} onClick={() => { asked.value = action; }}>
          {actionText(action)}
        </button>
      ))}
      {asked.value && <Confirmation d={d} action={asked.value} close={(done) => { asked.value = null; if (done) decided(); }} />}
    </div>
  );
}

/** Repeats what is decided before it is. */
function Confirmation({ d, action, close }: { d: Delivery; action: DeliveryAction; close: (done: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const text = useSignal('');
  const note = useSignal('');
  const busy = useSignal(false);
  const error = useSignal<RequestError | null>(null);
  const name = actionText(action);

  useEffect(() => {
    dialog.current!.showModal();
  }, []);

  async function submit(e: Event) {
    e.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await decide(d.delivery, action, text.value.trim(), note.value.trim());
      close(true);
    } catch (failure) {
      error.value = failure instanceof RequestError ? failure : new RequestError(0, null);
    } finally {
      busy.value = false;
    }
  }

  return (
    <dialog ref={dialog} class="confirmation" aria-labelledby="decide-title" onCancel={(e) => { e.preventDefault(); close(false); }}>
      <form onSubmit={(e) => void submit(e)}>
        <h2 id="decide-title">{t('decideTitle', { action: name, n: d.delivery })}</h2>
        <p class="muted">{d.dataset ? datasetTitle(d.dataset) : t('noDataset')} {d.dataset && <code>{d.dataset}</code>}</p>
        <blockquote>{both(d.difference?.zh, d.difference?.en) || t('decideNoSummary')}</blockquote>
        {(action === 'approve' || action === 'reject') && (
          <p class={d.blocking + d.errors > 0 ? 'caution' : 'muted'}>
            {t('decideFindings', { blocking: count(d.blocking), errors: count(d.errors), warnings: count(d.warnings), refused: count(d.refused) })}
          </p>
        )}
        {d.confirm && action === 'approve' && <p class="caution">{t('confirmNeeded')}</p>}
        <p>{t(help[action])}</p>
        <label>
          {t('decideDocument')}
          <input name="document" maxLength={200} value={text.value} placeholder={t('decideDocumentHint')} onInput={(e) => { text.value = e.currentTarget.value; }} />
        </label>
        <label>
          {t('decideNote')}
          <textarea name="note" rows={3} maxLength={2000} value={note.value} onInput={(e) => { note.value = e.currentTarget.value; }} />
        </label>
        {error.value && <Failure of={error.value} />}
        <div class="dialog-actions">
          <button type="button" onClick={() => close(false)}>{t('decideBack')}</button>
          <button type="submit" class={action === 'reject' ? 'danger' : 'primary'} disabled={busy.value}>{busy.value ? t('deciding') : t('decideConfirm', { action: lang.value === 'zh' ? name : name.toLowerCase() })}</button>
        </div>
      </form>
    </dialog>
  );
}
