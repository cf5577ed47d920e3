import type { FieldType, Value } from './types';
import type { Lang } from './i18n';

const dash = '—';

/** Groups the digits of a whole number: 20000 becomes 20,000. */
export function count(n: number): string {
  return String(Math.trunc(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/**
 * An amount in yuan (a decimal string, at most two decimals) as 万元 with two
 * decimals, rounded half away from zero. The arithmetic is exact: amounts of the
 * city's budget do not pass through binary fractions.
 */
export function wan(yuan: string | null | undefined): string {
  const m = /^(-?)(\d+)(?:\.(\d{1,2}))?$/.exec(yuan ?? '');
  if (!m) return dash;
  const cents = BigInt(m[2]!) * 100n + BigInt((m[3] ?? '').padEnd(2, '0'));
  const hundredths = (cents + 5000n) / 10000n; // of 万元; 1 万元 = 1,000,000 cents
  const whole = String(hundredths / 100n).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  const sign = m[1] && hundredths > 0n ? '-' : '';
  return `${sign}${whole}.${String(hundredths % 100n).padStart(2, '0')}`;
}

/** An amount with its unit. */
export function money(yuan: string | null | undefined, lang: Lang): string {
  const w = wan(yuan);
  if (w === dash) return dash;
  return lang === 'zh' ? `${w} 万元` : `${w} ×10⁴ CNY`;
}

/** The calendar day in the city of an instant or a date: 2026-11-24. */
export function day(iso: string | null | undefined): string {
  if (!iso) return dash;
  if (/^\d{4}-\d{2}-\d{2}$/.test(iso)) return iso;
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  return new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai', dateStyle: 'short' }).format(at);
}

/** Whole days from one date to another, or null when one is missing. */
export function daysBetween(from: string | null, to: string | null): number | null {
  if (!from || !to) return null;
  const days = (Date.parse(to) - Date.parse(from)) / 86_400_000;
  return Number.isFinite(days) ? Math.round(days) : null;
}

/**
 * An attribute for reading. Whole numbers are not grouped: most of them are
 * identifiers.
 */
export function value(v: Value | undefined, type: FieldType | undefined, lang: Lang): string {
  if (v === null || v === undefined || v === '') return dash;
  if (typeof v === 'boolean') {
    if (lang === 'zh') return v ? '是' : '否';
    return v ? 'yes' : 'no';
  }
  if (type === 'date') return day(String(v));
  if (type === 'timestamp') {
    const at = new Date(String(v));
    if (Number.isNaN(at.getTime())) return String(v);
    return new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai', dateStyle: 'short', timeStyle: 'short' }).format(at);
  }
  if (typeof v === 'number' && !Number.isInteger(v)) return String(Number(v.toPrecision(12)));
  if (typeof v === 'object') return JSON.stringify(v);
  return String(v);
}
