import { signal } from '@preact/signals';
import { en } from './en';
import { zh, type Key } from './zh';

export type Lang = 'zh' | 'en';

const stored = 'changde.lang';
const dictionaries: Record<Lang, Record<Key, string>> = { zh, en };

/** The language of the page; a signal, so that what reads it is drawn again on a change. */
export const lang = signal<Lang>(remembered());

/** Changes the language, remembers it in this browser, and tells assistive technology. */
export function setLang(next: Lang): void {
  lang.value = next;
  document.documentElement.lang = next === 'zh' ? 'zh-CN' : 'en';
  document.title = t('title');
  try {
    localStorage.setItem(stored, next);
  } catch {
    // A browser that forbids storage forgets the choice; nothing else depends on it.
  }
}

/** The text for a key in the current language, with {name} replaced. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return fill(dictionaries[lang.value][key], values);
}

/** The text in the current language of something that carries both; Chinese when there is no English. */
export function both(chinese: string | undefined, english: string | undefined): string {
  return (lang.value === 'en' ? english || chinese : chinese || english) ?? '';
}

/** Replaces each {name} that has a value. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function remembered(): Lang {
  try {
    const value = localStorage.getItem(stored);
    if (value === 'zh' || value === 'en') return value;
  } catch {
    // See setLang.
  }
  return 'zh';
}
