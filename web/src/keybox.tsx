import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { RequestError } from './api';
import { both, t } from './i18n';
import { landing, signIn, signOut } from './state';

/** Signing in with an organisation's key, and out. */
export function KeyBox() {
  const open = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const busy = useSignal(false);
  const error = useSignal('');
  const principal = landing.value?.principal;
  const name = principal?.organisation ? both(principal.name, principal.nameEn) || principal.organisation : '';

  useEffect(() => {
    if (open.value) field.current?.focus();
  }, [open.value]);

  async function submit(e: Event) {
    e.preventDefault();
    const candidate = field.current!.value.trim();
    if (!candidate || busy.value) return;
    busy.value = true;
    error.value = '';
    try {
      await signIn(candidate);
      field.current!.value = '';
      open.value = false;
    } catch (failure) {
      const text = failure instanceof RequestError ? failure.text : { title: String(failure), detail: '' };
      error.value = `${text.title} ${text.detail}`.trim();
    } finally {
      busy.value = false;
    }
  }

  if (name) {
    return (
      <div class="key">
        <span class="who" title={t('signedIn', { name })}>{name}</span>
        <button type="button" class="quiet" onClick={() => void signOut()}>{t('signOut')}</button>
      </div>
    );
  }
  return (
    <div class="key" onKeyDown={(e) => { if (e.key === 'Escape' && open.value) { e.preventDefault(); open.value = false; } }}>
      <button type="button" class="quiet" aria-expanded={open.value} onClick={() => { open.value = !open.value; }}>{t('key')}</button>
      {open.value && (
        <form class="key-form" onSubmit={(e) => void submit(e)}>
          <label>
            {t('useKey')}
            <input ref={field} type="password" autocomplete="off" spellcheck={false} aria-label={t('keyField')} aria-describedby="key-help" />
          </label>
          <p id="key-help">{t('keyHelp')}</p>
          {error.value && <p class="error" role="alert">{error.value}</p>}
          <button type="submit" class="primary" disabled={busy.value}>{busy.value ? t('checkingKey') : t('signIn')}</button>
        </form>
      )}
    </div>
  );
}
