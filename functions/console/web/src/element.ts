/** The base class of all elements: API client, language, screen reader announcements, base style. */
import { LitElement, html, unsafeCSS, type CSSResultGroup, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { Api, CallError } from './api';
import baseStyle from './base.css?inline';
import type { GetToken, RosterElement, RosterEventMap } from './elements';
import { Formats, negotiate, tagsAt, type Catalogue, type Language } from './i18n';
import { followLanguage } from './language';
import commonEn, { type CommonMessages } from './messages/en/common';
import { readable } from './readable';

try {
  CSS.registerProperty({ name: '--roster-rem', syntax: '<length>', inherits: true, initialValue: '16px' });
} catch {
  // Another copy of this script has registered it.
}

const common: Catalogue<CommonMessages> = { en: commonEn, de: () => import('./messages/de/common') };

export abstract class Base<Messages extends object> extends LitElement implements RosterElement {
  static override styles: CSSResultGroup = unsafeCSS(baseStyle);

  @property({ attribute: 'api-base' }) apiBase = '';
  @property({ attribute: false }) getToken: GetToken | undefined;
  /** The messages of the current language. Undefined while they load: the element then shows nothing. */
  @state() protected messages: (Messages & CommonMessages) | undefined;
  /** The text of the live region, which screen readers read out. */
  @state() private announcement = '';

  protected abstract readonly catalogue: Catalogue<Messages>;
  protected language: Language = 'en';
  protected formats = new Formats('en');
  #api: Api | undefined;
  /** The language tag of the last request for messages. */
  #requestedTag: string | undefined;
  #unfollowLanguage: (() => void) | undefined;
  #resolveMessagesLoaded: () => void = () => {};
  /** Resolves when the first messages are loaded. */
  protected readonly messagesLoaded = new Promise<void>((resolve) => (this.#resolveMessagesLoaded = resolve));
  /** Errors that are already in the browser's console. */
  readonly #reportedErrors = new WeakSet<object>();

  override connectedCallback(): void {
    super.connectedCallback();
    this.#unfollowLanguage = followLanguage(this, () => void this.#loadMessages());
    void this.#loadMessages();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#unfollowLanguage?.();
  }

  /** Loads the messages of the element's language. Falls back to English if they cannot be loaded. */
  async #loadMessages(): Promise<void> {
    const { tag, language } = negotiate(tagsAt(this));
    if (tag === this.#requestedTag) return;
    this.#requestedTag = tag;
    const loaded = language === 'en' ? undefined : await this.#loadCatalogue(language);
    // A newer request for another language has started.
    if (tag !== this.#requestedTag) return;
    // The next change of a language attribute tries again.
    if (!loaded && language !== 'en') this.#requestedTag = undefined;
    this.language = loaded ? language : 'en';
    this.formats = new Formats(this.language === language ? tag : 'en');
    this.messages = { ...common.en, ...this.catalogue.en, ...loaded } as Messages & CommonMessages;
    this.#resolveMessagesLoaded();
  }

  async #loadCatalogue(language: Exclude<Language, 'en'>): Promise<object | undefined> {
    try {
      const [shared, own] = await Promise.all([common[language](), this.catalogue[language]()]);
      return { ...shared.default, ...own.default };
    } catch (error) {
      reportError(error);
      return undefined;
    }
  }

  /** The API client for the current `apiBase` and `getToken`. */
  protected get api(): Api {
    const { apiBase, getToken } = this;
    if (this.#api?.base !== apiBase || this.#api.getToken !== getToken) this.#api = new Api(apiBase, getToken);
    return this.#api;
  }

  /** Returns an address for display only. Renders again when the text changes, because a module is loaded on demand. */
  protected readonly readable = (address: string): string => readable(address, () => this.requestUpdate());

  /** Returns a text that explains `error` to the user. */
  protected problemText(error: unknown): string {
    const messages = this.messages;
    if (!(error instanceof CallError)) {
      const object = Object(error);
      if (!this.#reportedErrors.has(object)) reportError(error);
      this.#reportedErrors.add(object);
      return messages?.unknownProblem(0) ?? '';
    }
    // The API's own texts are in English.
    const translation = messages?.problems[error.code];
    const texts = this.language === 'en' ? [error.detail, translation] : [translation, error.detail];
    return withoutBackticks(texts.find(Boolean) ?? messages?.unknownProblem(error.status) ?? '');
  }

  /** Lets a screen reader read out `text`. A repeated text gets a space at its end, since only changes are read out. */
  protected announce(text: string): void {
    this.announcement = this.announcement === text ? `${text}\u00a0` : text;
  }

  /** Renders the live region. Always include it: a screen reader does not read a region that appears with its text. */
  protected liveRegion(): TemplateResult {
    return html`<div class="visually-hidden" role="status">${this.announcement}</div>`;
  }

  protected emit<Name extends keyof RosterEventMap>(name: Name, detail: RosterEventMap[Name]['detail']): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** Removes the backticks that the API puts around code. */
export function withoutBackticks(text: string): string {
  return text.replaceAll('`', '');
}
