/** The page behind the mail's link, `/accept`. */
import { takeToken, tokenAtFirst } from './link';
import { html, nothing, type TemplateResult } from 'lit';
import '../accept';
import type { RosterEventMap } from '../elements';
import { Page } from './page';
import { config, session } from './session';

class AcceptPage extends Page {
  static override properties = { ...super.properties, token: { state: true } };

  declare private token: string;

  constructor() {
    super();
    this.token = tokenAtFirst || (session?.invitation ?? '');
  }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener('hashchange', this.#another);
    void session?.arrived().then(() => session?.failure && this.sayFailure());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    removeEventListener('hashchange', this.#another);
  }

  /** Another link was opened in this tab. */
  #another = (): void => {
    this.token = takeToken() || this.token;
  };

  protected override willUpdate(): void {
    if (this.words) document.title = [this.words.invitation, config?.product].filter(Boolean).join(' · ');
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.words ? this.#page() : nothing}`;
  }

  #page(): TemplateResult {
    if (!session) return this.unconfigured();
    return html`<div class="centred">
      <header>${this.brand()}</header>
      <main>
        ${this.failure()}
        <roster-accept
          .token=${this.token}
          .getToken=${session.getToken}
          @roster-sign-in=${({ detail }: RosterEventMap['roster-sign-in']) =>
            this.signIn({ ...detail, invitation: this.token })}
          @roster-open=${this.#open}
        ></roster-accept>
      </main>
    </div>`;
  }

  /** In place: another load would lose the token that is in memory. */
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
