/** What the elements have in common: the API, the language, what is said to screen readers, the look. */
import { LitElement, html, unsafeCSS, type CSSResultGroup, type PropertyDeclarations, type TemplateResult } from 'lit';
import { Api, CallError } from './api';
import baseStyle from './base.css';
import type { GetToken, RosterElement, RosterEventMap } from './elements';
import { Formats, negotiate, tagsAt, type Catalogue, type Language } from './i18n';
import commonEn, { type CommonMessages } from './messages/en/common';

const common: Catalogue<CommonMessages> = { en: commonEn, de: () => import('./messages/de/common') };

export abstract class Base<Messages extends object> extends LitElement implements RosterElement {
  static override styles: CSSResultGroup = unsafeCSS(baseStyle);
  static override properties: PropertyDeclarations = {
    apiBase: { attribute: 'api-base' },
    getToken: { attribute: false },
    words: { state: true },
    said: { state: true },
  };

  static override get observedAttributes(): string[] {
    return [...super.observedAttributes, 'lang'];
  }

  declare apiBase: string;
  declare getToken: GetToken | undefined;
  /** The messages; there is nothing to show before they are there. */
  declare protected words: (Messages & CommonMessages) | undefined;
  /** What a screen reader is told. */
  declare private said: string;

  protected abstract readonly catalogue: Catalogue<Messages>;
  protected language: Language = 'en';
  protected formats = new Formats('en');
  #api: Api | undefined;
  #asked: symbol | undefined;
  #speaks: () => void = () => {};
  /** Resolves when there are messages. */
  protected readonly spoken = new Promise<void>((resolve) => (this.#speaks = resolve));
  /** What the browser's log holds already. */
  readonly #reported = new WeakSet<object>();

  constructor() {
    super();
    this.apiBase = '';
    this.said = '';
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#speak();
  }

  override attributeChangedCallback(name: string, old: string | null, value: string | null): void {
    super.attributeChangedCallback(name, old, value);
    if (name === 'lang' && this.isConnected && old !== value) void this.#speak();
  }

  /** Loads the messages of the language that is asked for here; English where they cannot be had. */
  async #speak(): Promise<void> {
    const { tag, language } = negotiate(tagsAt(this));
    const asked = (this.#asked = Symbol());
    const loaded = language === 'en' ? undefined : await this.#others(language);
    // Another one was asked for meanwhile.
    if (asked !== this.#asked) return;
    this.language = loaded ? language : 'en';
    this.formats = new Formats(this.language === language ? tag : 'en');
    this.words = { ...common.en, ...this.catalogue.en, ...loaded } as Messages & CommonMessages;
    this.#speaks();
  }

  async #others(language: Exclude<Language, 'en'>): Promise<object | undefined> {
    try {
      const [shared, own] = await Promise.all([common[language](), this.catalogue[language]()]);
      return { ...shared.default, ...own.default };
    } catch (error) {
      reportError(error);
      return undefined;
    }
  }

  /** The API, for whoever is signed in. */
  protected get api(): Api {
    const { apiBase, getToken } = this;
    if (this.#api?.base !== apiBase || this.#api.getToken !== getToken) this.#api = new Api(apiBase, getToken);
    return this.#api;
  }

  /** What went wrong, for a person to read. */
  protected problemText(error: unknown): string {
    const words = this.words;
    if (!(error instanceof CallError)) {
      const object = Object(error);
      if (!this.#reported.has(object)) reportError(error);
      this.#reported.add(object);
      return words?.unknownProblem(0) ?? '';
    }
    // The API speaks English.
    const said = words?.problems[error.code];
    const texts = this.language === 'en' ? [error.detail, said] : [said, error.detail];
    return plain(texts.find(Boolean) ?? words?.unknownProblem(error.status) ?? '');
  }

  /** Says `text` to a screen reader, also where it is what was said last. */
  protected announce(text: string): void {
    this.said = this.said === text ? `${text}\u00a0` : text;
  }

  /** To be rendered at once and for good: a live region that comes with its text stays silent. */
  protected liveRegion(): TemplateResult {
    return html`<div class="unseen" role="status">${this.said}</div>`;
  }

  protected tell<Name extends keyof RosterEventMap>(name: Name, detail: RosterEventMap[Name]['detail']): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** What the API says, without the marks that it puts around code. */
export function plain(text: string): string {
  return text.replaceAll('`', '');
}
