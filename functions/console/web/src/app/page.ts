/** The base class of both pages: the product's name, and errors of the sign-in. */
import { html, nothing, unsafeCSS, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { Base } from '../element';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import appEn, { type AppMessages } from '../messages/en/app';
import style from './page.css?inline';
import { config, session } from './session';

export abstract class Page extends Base<AppMessages> {
  static override styles = [super.styles, unsafeCSS(style)];

  protected override readonly catalogue: Catalogue<AppMessages> = {
    en: appEn,
    de: () => import('../messages/de/app'),
  };
  /** Whether the page is about to show another one: the identity provider's, or the console. */
  @state() protected busy = false;

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('pageshow', this.#onPageShow);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('pageshow', this.#onPageShow);
  }

  /**
   * The user came back from the identity provider with the Back button, and the browser restored the page from its
   * cache.
   */
  #onPageShow = ({ persisted }: PageTransitionEvent): void => {
    if (persisted) this.busy = false;
  };

  protected async signIn(options: Parameters<NonNullable<typeof session>['signIn']>[0]): Promise<void> {
    if (!session || this.busy) return;
    this.busy = true;
    await session.signIn(options);
    if (session.failure) await this.announceFailure();
  }

  /** Announces the failure to screen readers. The visible notice is separate. */
  protected async announceFailure(): Promise<void> {
    this.busy = false;
    await this.messagesLoaded;
    this.announce(this.#failureText());
    this.requestUpdate();
  }

  #failureText(): string {
    const { messages } = this;
    const failure = session?.failure;
    if (!messages || !failure) return '';
    const reason = failure.reason && ` ${messages.reason(failure.reason)}`;
    return messages.signInFailures[failure.kind] + reason;
  }

  protected renderFailure(): TemplateResult | typeof nothing {
    const text = this.#failureText();
    return text ? html`<div class="notice bad">${icons.error}<span>${text}</span></div>` : nothing;
  }

  protected renderWait(text?: string): TemplateResult {
    return html`<p class="wait soft"><span class="spin"></span>${text}</p>`;
  }

  protected renderBrand(): TemplateResult {
    return html`<span class="logo">${icons.people}</span><span>${config?.product}</span>`;
  }

  /** Shown if the configuration is missing or invalid. */
  protected renderUnconfigured(): TemplateResult {
    return html`<main class="message-page">
      <h1>${this.messages?.notSetUp}</h1>
      <p class="soft">${this.messages?.unconfiguredText}</p>
    </main>`;
  }
}
