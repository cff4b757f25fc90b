/** Language negotiation, message catalogues, and formats of dates and numbers. */

/** The languages that have messages. */
export type Language = 'en' | 'de';

/** The messages of one element. English is in the bundle; other languages are loaded on demand. */
export interface Catalogue<Messages> {
  readonly en: Messages;
  readonly de: () => Promise<{ default: Messages }>;
}

/** Returns the first of the language tags that has messages, and its language. English if none has. */
export function negotiate(tags: readonly string[]): { tag: string; language: Language } {
  for (const tag of tags) {
    const language = tag.split('-')[0]?.toLowerCase();
    if (language === 'en' || language === 'de') return { tag, language };
  }
  return { tag: 'en', language: 'en' };
}

/** Returns the language tags for an element: the nearest `lang` attribute, else the browser's preferences. */
export function tagsAt(element: Element): string[] {
  for (let at: Node | null = element; at;) {
    const marked: Element | null = at instanceof Element ? at.closest('[lang]') : null;
    const tag = marked?.getAttribute('lang');
    if (tag) return [tag];
    const root = at.getRootNode();
    at = root instanceof ShadowRoot ? root.host : null;
  }
  return [...navigator.languages];
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

/** Rounds a duration up. Uses the largest unit of which it has more than 1.5. */
function rounded(seconds: number): { count: number; unit: (typeof UNITS)[number][0] } {
  const [unit, size] = UNITS.find(([, size]) => seconds > 1.5 * size) ?? UNITS[3];
  return { count: Math.ceil(seconds / size), unit };
}

/** Formats numbers, dates and durations for a locale. */
export class Formats {
  readonly #number: Intl.NumberFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #short: Intl.DateTimeFormat;
  readonly #moment: Intl.DateTimeFormat;

  constructor(readonly tag: string) {
    this.#number = new Intl.NumberFormat(tag);
    this.#day = new Intl.DateTimeFormat(tag, { dateStyle: 'medium' });
    this.#short = new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'short' });
    this.#moment = new Intl.DateTimeFormat(tag, { dateStyle: 'full', timeStyle: 'short' });
  }

  number(value: number): string {
    return this.#number.format(value);
  }

  /** `3 Sep 2026` */
  day(moment: string): string {
    return this.#day.format(new Date(moment));
  }

  /** `Thursday, 26 November 2026 at 15:05`, in the viewer's time zone. */
  moment(moment: string): string {
    return this.#moment.format(new Date(moment));
  }

  /** `26 Nov 2026, 15:05`, in the viewer's time zone. */
  short(moment: string): string {
    return this.#short.format(new Date(moment));
  }

  /** `45 sec`, `2 min`, `17 hr`: rounded up to whole units. */
  wait(seconds: number): string {
    const { count, unit } = rounded(seconds);
    return new Intl.NumberFormat(this.tag, { style: 'unit', unit }).format(count);
  }

  /** `in 45 seconds`, `in 17 hours`: rounded up to whole units. */
  after(seconds: number): string {
    const { count, unit } = rounded(seconds);
    return new Intl.RelativeTimeFormat(this.tag).format(count, unit);
  }
}

/** Returns the hours until `until`, rounded up as in the invitation mail. */
export function hoursLeft(until: string, now: number): number {
  return Math.max(0, Math.ceil((Date.parse(until) - now) / 3_600_000));
}
