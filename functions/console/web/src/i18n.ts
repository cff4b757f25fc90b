/** Languages: which one, its messages, its dates and numbers. */

/** Languages with messages. */
export type Language = 'en' | 'de';

/** The messages of one element: English at once, others when they are needed. */
export interface Catalogue<Messages> {
  readonly en: Messages;
  readonly de: () => Promise<{ default: Messages }>;
}

/** The first of the tags that there are messages for, and its language. */
export function negotiate(tags: readonly string[]): { tag: string; language: Language } {
  for (const tag of tags) {
    const language = tag.split('-')[0]?.toLowerCase();
    if (language === 'en' || language === 'de') return { tag, language };
  }
  return { tag: 'en', language: 'en' };
}

/** The tags that are asked for at an element: the nearest `lang` around it, then what the browser prefers. */
export function tagsAt(element: Element): string[] {
  for (let at: Node | null = element; at; ) {
    const marked: Element | null = at instanceof Element ? at.closest('[lang]') : null;
    const tag = marked?.getAttribute('lang');
    if (tag) return [tag];
    const root = at.getRootNode();
    at = root instanceof ShadowRoot ? root.host : null;
  }
  return [...navigator.languages];
}

const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60], ['second', 1]] as const;

/** In the largest unit that says it well enough. */
function rounded(seconds: number): { count: number; unit: (typeof UNITS)[number][0] } {
  const [unit, size] = UNITS.find(([, size]) => seconds > 1.5 * size) ?? UNITS[3];
  return { count: Math.ceil(seconds / size), unit };
}

/** How a locale writes numbers and moments. */
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

  /** `45 sec`, `2 min`, `17 hr`: rounded up, as far as that matters to whoever waits. */
  wait(seconds: number): string {
    const { count, unit } = rounded(seconds);
    return new Intl.NumberFormat(this.tag, { style: 'unit', unit }).format(count);
  }

  /** `in 45 seconds`, `in 17 hours`, rounded alike. */
  after(seconds: number): string {
    const { count, unit } = rounded(seconds);
    return new Intl.RelativeTimeFormat(this.tag).format(count, unit);
  }
}

/** Hours that are left, rounded up, as the mail says them. */
export function hoursLeft(until: string, now: number): number {
  return Math.max(0, Math.ceil((Date.parse(until) - now) / 3_600_000));
}
