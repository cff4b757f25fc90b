/** The accept page, `/accept`, which the link in the mail opens. */
import { forgetToken, initialToken, takeToken } from './link';
import { html, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import '../accept';
import type { GetToken, RosterEventMap } from '../elements';
import { Page } from './page';
import { config, session } from './session';

class AcceptPage extends Page {
  @state() private token: string = initialToken;
  /** Whether a sign-in of this tab is being restored: a reload has lost the access token, which is only in memory. */
  @state() private restoring = session?.wasSignedIn ?? false;

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('hashchange', this.#onHashChange);
    void this.#start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('hashchange', this.#onHashChange);
  }

  async #start(): Promise<void> {
    await session?.completed();
    if (session?.failure) await this.announceFailure();
    else if (session?.wasSignedIn && !(await session.getToken({ refresh: false }))) await this.signIn({ silent: true });
    // During a sign-in, the page is about to leave.
    this.restoring = this.busy;
  }

  /** The user opened another link in this tab: only the fragment changes, so the page does not reload. */
  #onHashChange = (): void => {
    this.token = takeToken() || this.token;
  };

  protected override willUpdate(): void {
    if (this.messages) document.title = [this.messages.invitation, config?.product].filter(Boolean).join(' · ');
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.messages ? this.#renderPage() : this.renderWait()}`;
  }

  #renderPage(): TemplateResult {
    if (!session) return this.renderUnconfigured();
    return html`<div class="centred">
      <header><div class="brand">${this.renderBrand()}</div></header>
      <main>
        ${this.renderFailure()}
        ${this.restoring ? this.renderWait(this.messages?.signingIn) : this.#renderInvitation(session.getToken)}
      </main>
    </div>`;
  }

  #renderInvitation(getToken: GetToken): TemplateResult {
    return html`<roster-accept
      .token=${this.token}
      .getToken=${getToken}
      .busy=${this.busy}
      @roster-sign-in=${({ detail }: RosterEventMap['roster-sign-in']) => this.signIn(detail)}
      @roster-open=${this.#open}
      @roster-invitation-closed=${() => forgetToken(this.token)}
    ></roster-accept>`;
  }

  /** Shows the console without reloading: a reload would lose the access token, which is only in memory. */
  async #open({ detail }: RosterEventMap['roster-open']): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    const path = `/?organization=${encodeURIComponent(detail.organization.id)}`;
    try {
      await import('./console');
    } catch {
      return location.assign(path);
    }
    history.replaceState(null, '', path);
    this.replaceWith(document.createElement('roster-console-page'));
  }
}

customElements.define('roster-accept-page', AcceptPage);
