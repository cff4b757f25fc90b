/** The accept page, `/accept`, which the link in the mail opens. */
import { takeToken, initialToken } from './link';
import { html, nothing, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import '../accept';
import type { RosterEventMap } from '../elements';
import { Page } from './page';
import { config, session } from './session';

class AcceptPage extends Page {
  @state() private token: string = initialToken || (session?.invitation ?? '');

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('hashchange', this.#onHashChange);
    void session?.completed().then(() => session?.failure && this.announceFailure());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('hashchange', this.#onHashChange);
  }

  /** The user opened another link in this tab: only the fragment changes, so the page does not reload. */
  #onHashChange = (): void => {
    this.token = takeToken() || this.token;
  };

  protected override willUpdate(): void {
    if (this.messages) document.title = [this.messages.invitation, config?.product].filter(Boolean).join(' · ');
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.messages ? this.#renderPage() : nothing}`;
  }

  #renderPage(): TemplateResult {
    if (!session) return this.renderUnconfigured();
    return html`<div class="centred">
      <header>${this.renderBrand()}</header>
      <main>
        ${this.renderFailure()}
        <roster-accept
          .token=${this.token}
          .getToken=${session.getToken}
          @roster-sign-in=${({ detail }: RosterEventMap['roster-sign-in']) => this.signIn({ ...detail, invitation: this.token })}
          @roster-open=${this.#open}
        ></roster-accept>
      </main>
    </div>`;
  }

  /** Shows the console without reloading: a reload would lose the access token, which is only in memory. */
  async #open({ detail }: RosterEventMap['roster-open']): Promise<void> {
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
