/** The console, `/`: the users of an organization, or the sign-in page. */
import { html, nothing, type TemplateResult } from 'lit';
import { state } from 'lit/decorators.js';
import { viewerOf } from '../api';
import type { RosterEventMap } from '../elements';
import { tryStorage } from '../storage';
import { WAITING_KEY } from '../users/waiting-key';
import { Page } from './page';
import { config, session } from './session';

/** The `localStorage` key of the last organization: the user's id, and the organization's id. */
const LAST_ORGANIZATION_KEY = 'roster.organization';

class ConsolePage extends Page {
  /** The signed-in user. */
  @state() private viewer: { sub: string; email: string } | undefined;
  /** Whether the sign-in has completed, so that `viewer` is valid. */
  @state() private ready = false;
  /** Whether the user has clicked the button to sign out. */
  @state() private signingOut = false;
  /** The organization's name. */
  @state() private organizationName = '';
  /** Whether the list's code could not be loaded. */
  @state() private notLoaded = false;
  #organization = '';

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#start();
  }

  async #start(): Promise<void> {
    if (!session) return;
    // The identity provider always redirects to `/`, also after a sign-in on the accept page.
    if (location.pathname === '/accept') {
      await import('./accept');
      return this.replaceWith(document.createElement('roster-accept-page'));
    }
    await session.completed();
    const token = await session.getToken({ refresh: false });
    if (token && session.isRenewal) session.sendTokensToOpener();
    const mustSignIn = !token && !session.failure && (session.isRenewal || session.wasSignedIn);
    if (mustSignIn) await session.signIn({ silent: !session.isRenewal });
    else this.#show(token);
    if (session.failure) {
      await this.updateComplete;
      this.ready = true;
      await this.announceFailure();
    }
  }

  #show(token: string | null): void {
    this.viewer = viewerOf(token);
    if (this.viewer) import('../users').catch(() => (this.notLoaded = true));
    this.#organization = new URLSearchParams(location.search).get('organization') ?? this.#lastOrganization ?? '';
    this.ready = true;
  }

  /** The organization that this viewer opened last. */
  get #lastOrganization(): string | undefined {
    const stored = tryStorage((): string | undefined => {
      const [sub, organization] = JSON.parse(localStorage.getItem(LAST_ORGANIZATION_KEY) ?? '[]');
      return sub === this.viewer?.sub ? organization : undefined;
    });
    return stored ?? undefined;
  }

  /** Stores the organization as the last one, and writes it to the address bar, so that the URL can be shared. */
  #remember(organization: string): void {
    this.#organization = organization;
    history.replaceState(null, '', organization ? `/?organization=${encodeURIComponent(organization)}` : '/');
    // If the browser blocks the storage, the address bar still has the organization.
    tryStorage(() => {
      if (organization) localStorage.setItem(LAST_ORGANIZATION_KEY, JSON.stringify([this.viewer?.sub, organization]));
      else {
        localStorage.removeItem(LAST_ORGANIZATION_KEY);
        sessionStorage.removeItem(WAITING_KEY);
      }
    });
  }

  /** Signs in again after the session has ended: in a new window if possible, so that the user's input is kept. */
  async #signInAgain(): Promise<void> {
    const renewal = session?.renew();
    if (!renewal) return this.signIn({ email: this.viewer?.email });
    await renewal;
    const viewer = viewerOf((await session?.getToken({ refresh: false })) ?? null);
    // A different user signed in, who must not see the current content.
    if (viewer?.sub !== this.viewer?.sub) return location.reload();
    this.announce(this.messages?.renewed ?? '');
    await this.renderRoot.querySelector('roster-users')?.refresh();
  }

  async #signOut(): Promise<void> {
    // The next user of this machine must not see the organization, not even with the Back button.
    this.#remember('');
    this.viewer = undefined;
    this.signingOut = this.busy = true;
    await this.updateComplete;
    session?.signOut();
  }

  protected override willUpdate(): void {
    if (!this.messages) return;
    document.title = [this.viewer && this.organizationName, this.messages.title, config?.product].filter(Boolean).join(' · ');
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.messages ? this.#renderPage() : this.renderWait()}`;
  }

  #renderPage(): TemplateResult {
    if (!session) return this.renderUnconfigured();
    if (!this.ready) return this.renderWait(this.messages?.signingIn);
    if (this.signingOut && this.busy) return this.renderWait(this.messages?.signingOut);
    return this.viewer ? this.#renderSignedIn() : this.#renderSignedOut();
  }

  #renderSignedIn(): TemplateResult {
    const { messages, viewer } = this;
    return html`<header class="bar">
        <h1 class="brand">${this.renderBrand()}</h1>
        <div class="who">
          ${this.#renderMailboxLink()}
          ${
            viewer?.email
              ? html`<span class="viewer soft"><span class="visually-hidden">${messages?.signedInAs}</span> ${this.readable(viewer.email)}</span>`
              : nothing
          }
          <button class="quiet" @click=${this.#signOut}>${messages?.signOut}</button>
        </div>
      </header>
      <main class="users">
        ${this.renderFailure()} ${this.notLoaded ? html`<p class="notice bad" role="alert">${messages?.notLoaded}</p>` : nothing}
        <roster-users
          switch
          .organization=${this.#organization}
          .getToken=${session?.getToken}
          @roster-loaded=${({ detail }: RosterEventMap['roster-loaded']) => {
            this.organizationName = detail.organization.name;
            this.#remember(detail.organization.id);
          }}
          @roster-renamed=${({ detail: { organization } }: RosterEventMap['roster-renamed']) => {
            if (organization.id === this.#organization) this.organizationName = organization.name;
          }}
          @roster-organization-change=${({ detail }: RosterEventMap['roster-organization-change']) => this.#remember(detail.organization)}
          @roster-left=${() => {
            this.organizationName = '';
            this.#remember('');
          }}
          @roster-sign-in=${this.#signInAgain}
        ></roster-users>
      </main>`;
  }

  /** Links to the mailbox with the mails that Roster sent. Only the local server has one. */
  #renderMailboxLink(): TemplateResult | typeof nothing {
    return config?.mailbox ? html`<a href=${config.mailbox}>${this.messages?.mailbox}</a>` : nothing;
  }

  #renderSignedOut(): TemplateResult {
    const { messages, busy } = this;
    return html`<div class="centred">
      <header><div class="brand">${this.renderBrand()}</div> ${this.#renderMailboxLink()}</header>
      <main>
        <div class="card">
          <h1>${messages?.title}</h1>
          <p class="soft">${messages?.lead}</p>
          ${this.renderFailure()}
          <button class="primary" aria-disabled=${busy ? 'true' : 'false'} @click=${() => this.signIn({})}>
            ${busy ? html`<span class="spin"></span>` : nothing}${messages?.signIn}
          </button>
        </div>
      </main>
    </div>`;
  }
}

customElements.define('roster-console-page', ConsolePage);
