import { offline } from './api';
import { t } from './i18n';
import * as state from './state';

/** What went wrong, above everything else, until it is dismissed or mends itself. */
export function Notices() {
  return (
    <div class="notices" aria-live="assertive">
      {offline.value && (
        <div class="notice" role="alert">
          <div>
            <b>{t('offline')}</b> {state.retryIn.value > 0 && t('offlineHelp', { n: state.retryIn.value })}
          </div>
          <button type="button" onClick={() => { state.retryIn.value = 0; }}>{t('retryNow')}</button>
        </div>
      )}
      {state.notices.value.map((n) => (
        <div class="notice" role="alert" key={n.id}>
          <div>
            <b>{n.title}</b> {n.detail}
          </div>
          <button type="button" onClick={() => state.dismiss(n.id)}>{t('dismiss')}</button>
        </div>
      ))}
    </div>
  );
}
