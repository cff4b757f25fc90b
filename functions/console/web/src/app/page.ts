/** What both pages have in common: the product's name, and what went wrong with signing in. */
import { html, nothing, unsafeCSS, type TemplateResult } from 'lit';
import { Base } from '../element';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import appEn, { type AppMessages } from '../messages/en/app';
import own from './page.css';
import { config, session } from './session';

export abstract class Page extends Base<AppMessages> {
  static override styles = [super.styles, unsafeCSS(own)];
  static override properties = { ...super.properties, busy: { state: true } };

  protected override readonly catalogue: Catalogue<AppMessages> = {
    en: appEn,
    de: () => import('../messages/de/app'),
  };
  /** On the way to the identity provider. */
  declare protected busy: boolean;

  constructor() {
    super();
    this.busy = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('pageshow', this.#back);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('pageshow', this.#back);
  }

  /** Back from the identity provider by the browser's button, to the page as it was left. */
  #back = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) this.busy = false;
  };

  protected async signIn(departure: Parameters<NonNullable<typeof session>['signIn']>[0]): Promise<void> {
    if (!session || this.busy) return;
    this.busy = true;
    await session.signIn(departure);
    if (session.failure) await this.sayFailure();
  }

  /** For a screen reader; the notice is for everybody else. */
  protected async sayFailure(): Promise<void> {
    this.busy = false;
    await this.spoken;
    this.announce(this.#failureText());
    this.requestUpdate();
  }

  #failureText(): string {
    const { words } = this;
    const failure = session?.failure;
    if (!words || !failure) return '';
    const reason = failure.reason && ` ${words.reason(failure.reason)}`;
    return words.trouble[failure.trouble] + reason;
  }

  protected failure(): TemplateResult | typeof nothing {
    const text = this.#failureText();
    return text ? html`<div class="notice bad">${icons.alert}<span>${text}</span></div>` : nothing;
  }

  protected brand(): TemplateResult {
    return html`<div class="brand"><span class="mark">${icons.people}</span><span>${config?.product}</span></div>`;
  }

  /** Where nothing else can be shown. */
  protected unconfigured(): TemplateResult {
    return html`<main class="alone">
      <h1>${this.words?.unconfigured}</h1>
      <p class="soft">${this.words?.unconfiguredText}</p>
    </main>`;
  }
}
