/** The state of the invite dialog's addresses. Needs no browser. */
import type { ReactiveControllerHost } from 'lit';
import { keyOf } from '../address';
import type { Code } from '../api';
import type { Invitation, InviteResult, Member } from '../elements';
import { parseAddresses, type Entry } from './addresses';
import { verdict, type Known, type Verdict } from './verdict';

/** The maximum number of addresses in the dialog: the default number of seats of an organization. */
export const ADDRESSES_MAX = 1_000;
/** For a wait of at most this many seconds, the list marks the address as ready again when the wait is over. */
const WAIT_SECONDS_MAX = 600;

/** The reason why the API has not invited an address. */
export interface Refusal {
  readonly reason: Code | Exclude<InviteResult['outcome'], 'invited'>;
  /** The API's explanation, in English. */
  readonly detail: string;
  /** Seconds to wait before the next attempt. */
  readonly retryAfter?: number | undefined;
}

/** An address that was entered. */
export interface Chip extends Entry {
  /** The address in the API's form. */
  readonly key: string;
  readonly refusal?: Refusal | undefined;
}

/** An address that cannot be invited: because of `chip.refusal`, or else because of `verdict`. */
export interface RefusedChip {
  readonly chip: Chip;
  readonly verdict: Exclude<Verdict, 'ready' | 'duplicate'> | undefined;
}

/** The parts of a text that `add` left out. */
export interface Skipped {
  /** The number of addresses that were in the list or earlier in the text. */
  readonly duplicates: number;
  /** The number of addresses above `ADDRESSES_MAX`. */
  readonly tooMany: number;
  /** The number of lines without an address. */
  readonly lines: number;
  /** The number of addresses that are not in the table's column of addresses. */
  readonly unused: number;
}

const NONE_SKIPPED: Skipped = { duplicates: 0, tooMany: 0, lines: 0, unused: 0 };
const emptySet: ReadonlySet<string> = new Set();
const noneKnown: Known = { members: emptySet, invited: emptySet, entered: emptySet };

/** The entered addresses, the text in the input field, and the free seats. Updates its hosts after each change. */
export class AddressList {
  readonly #hosts = new Set<Pick<ReactiveControllerHost, 'requestUpdate'>>();
  #typed = '';
  #chips: readonly Chip[] = [];
  #ready: readonly Chip[] = [];
  #refused: readonly RefusedChip[] = [];
  #skipped = NONE_SKIPPED;
  #known = noneKnown;
  /** The addresses of expired invitations. They may still hold their seats, so inviting them needs no free seats. */
  #expired = emptySet;
  #freeSeats = 0;

  addHost(host: Pick<ReactiveControllerHost, 'requestUpdate'>): void {
    this.#hosts.add(host);
  }

  /** All addresses, in the order in which they were entered. */
  get chips(): readonly Chip[] {
    return this.#chips;
  }

  /** The addresses that can be sent to the API. */
  get ready(): readonly Chip[] {
    return this.#ready;
  }

  get refused(): readonly RefusedChip[] {
    return this.#refused;
  }

  /** What the last `add` left out. */
  get skipped(): Skipped {
    return this.#skipped;
  }

  get freeSeats(): number {
    return this.#freeSeats;
  }

  set freeSeats(count: number) {
    this.#freeSeats = count;
    this.#updateHosts();
  }

  /** The text in the input field. */
  get typed(): string {
    return this.#typed;
  }

  set typed(text: string) {
    this.#typed = text;
    this.#updateHosts();
  }

  /** The ready addresses, with those in the input field. */
  get readyWithTyped(): readonly Chip[] {
    if (!this.#typed) return this.#ready;
    const known = { ...this.#known, entered: new Set(this.#chips.map(({ key }) => key)) };
    return [...this.#ready, ...chipsOf(parseAddresses(this.#typed).entries).filter(({ address }) => verdict(address, known) === 'ready')];
  }

  /** Returns the number of seats that are missing to invite `chips`. Zero or less if there are enough. */
  missingSeats(chips: readonly Chip[]): number {
    return chips.filter(({ key }) => !this.#expired.has(key)).length - this.#freeSeats;
  }

  /** Sets the organization's users. `now` is the server's time in milliseconds. */
  setUsers(members: readonly Member[], invitations: readonly Invitation[], now: number): void {
    const emails = (those: (invitation: Invitation) => boolean): string[] => invitations.filter(those).map(({ email }) => email);
    const isOver = ({ status, expires_at }: Invitation): boolean =>
      status === 'expired' || (status === 'pending' && Date.parse(expires_at) <= now);
    const memberEmails = [...members.map(({ email }) => email), ...emails(({ status }) => status === 'accepted')];
    const invited = emails((invitation) => invitation.status === 'pending' && !isOver(invitation));
    this.#known = { members: new Set(memberEmails), invited: new Set(invited), entered: emptySet };
    this.#expired = new Set(emails(isOver));
    this.#changed();
  }

  /** Adds the addresses in `text`, and clears the text of the input field. Returns whether there is anything to report. */
  add(text: string): boolean {
    const { entries, skippedLines, unusedAddresses } = parseAddresses(text);
    const found = chipsOf(entries);
    const hasText = found.length + skippedLines > 0;
    this.#typed = '';
    if (hasText) {
      const entered = new Set(this.#chips.map(({ key }) => key));
      const chips = [...this.#chips];
      let duplicates = 0;
      let tooMany = 0;
      for (const chip of found) {
        // Repeated words are not repeated addresses.
        if (entered.has(chip.key)) duplicates += Number(chip.address.includes('@'));
        else if (chips.length === ADDRESSES_MAX) tooMany++;
        else {
          entered.add(chip.key);
          chips.push(chip);
        }
      }
      this.#chips = chips;
      this.#skipped = { duplicates, tooMany, lines: skippedLines, unused: unusedAddresses };
    }
    this.#changed();
    return hasText;
  }

  remove(chips: readonly Chip[]): void {
    const keys = new Set(chips.map(({ key }) => key));
    this.#chips = this.#chips.filter(({ key }) => !keys.has(key));
    this.#skipped = NONE_SKIPPED;
    this.#changed();
  }

  forgetSkipped(): void {
    this.#skipped = NONE_SKIPPED;
    this.#updateHosts();
  }

  clear(): void {
    this.#chips = [];
    this.#typed = '';
    this.#skipped = NONE_SKIPPED;
    this.#changed();
  }

  /** Removes the invited ones of the sent addresses, marks the others with the reason, and returns the invited ones. */
  applyResults(sent: readonly string[], results: readonly InviteResult[]): InviteResult[] {
    const outcomes = new Map(results.map((result) => [result.email, result]));
    const indices = new Map(sent.map((address, index) => [address, index]));
    const invited = results.filter(({ outcome }) => outcome === 'invited');
    this.#chips = this.#chips.flatMap((chip) => {
      const index = indices.get(chip.address);
      if (index === undefined) return chip;
      const result = outcomes.get(chip.key) ?? (results.length === sent.length ? results[index] : undefined);
      // An address without a result is a duplicate of another one.
      if (!result || result.outcome === 'invited') return [];
      return { ...chip, refusal: { reason: result.outcome, detail: result.detail } };
    });
    this.#freeSeats -= invited.filter(({ email }) => !this.#expired.has(email)).length;
    this.#changed();
    return invited;
  }

  /** Marks addresses that the API refuses. With `retryAfter`, they are ready again after so many seconds. */
  refuse(addresses: ReadonlyMap<string, string>, reason: Code, retryAfter?: number): void {
    const marked = new Set<Refusal>();
    this.#chips = this.#chips.map((chip) => {
      const detail = addresses.get(chip.address);
      if (detail === undefined) return chip;
      const refusal: Refusal = { reason, detail, retryAfter };
      marked.add(refusal);
      return { ...chip, refusal };
    });
    this.#changed();
    if (!retryAfter || retryAfter > WAIT_SECONDS_MAX) return;
    setTimeout(() => {
      const isOver = ({ refusal }: Chip): boolean => refusal !== undefined && marked.has(refusal);
      this.#chips = this.#chips.map((chip) => (isOver(chip) ? { ...chip, refusal: undefined } : chip));
      this.#changed();
    }, retryAfter * 1_000);
  }

  /** Sorts the addresses into ready and refused ones, and updates the hosts. */
  #changed(): void {
    const ready: Chip[] = [];
    const refused: RefusedChip[] = [];
    for (const chip of this.#chips) {
      const status = verdict(chip.address, this.#known);
      if (chip.refusal) refused.push({ chip, verdict: undefined });
      else if (status === 'ready' || status === 'duplicate') ready.push(chip);
      else refused.push({ chip, verdict: status });
    }
    this.#ready = ready;
    this.#refused = refused;
    this.#updateHosts();
  }

  #updateHosts(): void {
    for (const host of this.#hosts) host.requestUpdate();
  }
}

function chipsOf(entries: readonly Entry[]): Chip[] {
  return entries.map((entry) => ({ ...entry, key: keyOf(entry.address) }));
}

/** Whether the typed text is complete, so that its addresses can be added to the list. */
export function isComplete(text: string): boolean {
  if (/[\r\n]/.test(text)) return true;
  if (!/[\s,;،؛、，；]$/.test(text) || !text.includes('@') || text.split('"').length % 2 === 0) return false;
  if (text.lastIndexOf('<') > text.lastIndexOf('>')) return false;
  return /\S$/.test(text) || parseAddresses(text).entries.every(({ address }) => verdict(address, noneKnown) === 'ready');
}
