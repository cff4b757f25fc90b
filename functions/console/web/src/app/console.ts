/** The console, `/`: an organization's users, once somebody is signed in. */
import { html, nothing, type TemplateResult } from 'lit';
import { viewerOf } from '../api';
import type { RosterEventMap } from '../elements';
import '../users';
import { Page } from './page';
import { config, session } from './session';

/** Where the last organization is remembered: of whom, and which. */
const LAST = 'roster.organization';

class ConsolePage extends Page {
  static override properties = {
    ...super.properties,
    viewer: { state: true },
    ready: { state: true },
    named: { state: true },
  };

  /** Who is signed in. */
  declare private viewer: { sub: string; email: string } | undefined;
  /** Whether that is known. */
  declare private ready: boolean;
  /** The organization's name. */
  declare private named: string;
  #organization = '';

  constructor() {
    super();
    this.ready = false;
    this.named = '';
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#begin();
  }

  async #begin(): Promise<void> {
    if (!session) return;
    // Everybody returns from the identity provider to `/`.
    if (location.pathname === '/accept') {
      await import('./accept');
      return this.replaceWith(document.createElement('roster-accept-page'));
    }
    await session.arrived();
    const token = await session.getToken({ refresh: false });
    if (token && session.isRenewal) session.handBack();
    const onItsWay = !token && !session.failure && (session.isRenewal || session.wasSignedIn);
    if (onItsWay) await session.signIn({ silent: !session.isRenewal });
    else this.#enter(token);
    if (session.failure) {
      await this.updateComplete;
      this.ready = true;
      await this.sayFailure();
    }
  }

  #enter(token: string | null): void {
    this.viewer = viewerOf(token);
    this.#organization = new URLSearchParams(location.search).get('organization') ?? this.#last ?? '';
    this.ready = true;
  }

  /** The organization that this viewer looked at last. */
  get #last(): string | undefined {
    try {
      const [sub, organization] = JSON.parse(localStorage.getItem(LAST) ?? '[]');
      return sub === this.viewer?.sub ? organization : undefined;
    } catch {
      return undefined;
    }
  }

  /** Remembers it, and has the address bar name it, so that the page can be shared. */
  #remember(organization: string): void {
    this.#organization = organization;
    history.replaceState(null, '', organization ? `/?organization=${encodeURIComponent(organization)}` : '/');
    try {
      if (organization) localStorage.setItem(LAST, JSON.stringify([this.viewer?.sub, organization]));
      else localStorage.removeItem(LAST);
    } catch {
      // Storage is blocked: the address bar knows it still.
    }
  }

  /** The session has ended: in another window, since something may be half typed in this one. */
  async #again(): Promise<void> {
    const renewed = session?.renew();
    if (!renewed) return this.signIn({ email: this.viewer?.email });
    await renewed;
    const viewer = viewerOf((await session?.getToken({ refresh: false })) ?? null);
    // Somebody else: nothing of what is shown is theirs.
    if (viewer?.sub !== this.viewer?.sub) return location.reload();
    this.announce(this.words?.renewed ?? '');
    await this.renderRoot.querySelector('roster-users')?.refresh();
  }

  async #signOut(): Promise<void> {
    // Whoever is next at this machine is not told; neither by the page as the browser keeps it for its back button.
    this.#remember('');
    this.viewer = undefined;
    await this.updateComplete;
    session?.signOut();
  }

  protected override willUpdate(): void {
    if (!this.words) return;
    document.title = [this.viewer && this.named, this.words.title, config?.product].filter(Boolean).join(' · ');
  }

  protected override render(): TemplateResult {
    return html`${this.liveRegion()}${this.words ? this.#page() : nothing}`;
  }

  #page(): TemplateResult | typeof nothing {
    if (!session) return this.unconfigured();
    if (!this.ready) return html`<p class="wait soft"><span class="spin"></span>${this.words?.signingIn}</p>`;
    return this.viewer ? this.#inside() : this.#outside();
  }

  #inside(): TemplateResult {
    const { words, viewer } = this;
    return html`<header class="bar">
        ${this.brand()}
        <div class="who">
          ${this.#mailbox()}
          ${viewer?.email
            ? html`<span class="viewer soft"><span class="unseen">${words?.signedInAs}</span> ${viewer.email}</span>`
            : nothing}
          <button class="quiet" @click=${this.#signOut}>${words?.signOut}</button>
        </div>
      </header>
      <main class="users">
        <h1 class="unseen">${words?.title}</h1>
        ${this.failure()}
        <roster-users
          switch
          .organization=${this.#organization}
          .getToken=${session?.getToken}
          @roster-loaded=${({ detail }: RosterEventMap['roster-loaded']) => {
            this.named = detail.organization.name;
            this.#remember(detail.organization.id);
          }}
          @roster-renamed=${({ detail: { organization } }: RosterEventMap['roster-renamed']) => {
            if (organization.id === this.#organization) this.named = organization.name;
          }}
          @roster-organization-change=${({ detail }: RosterEventMap['roster-organization-change']) =>
            this.#remember(detail.organization)}
          @roster-left=${() => {
            this.named = '';
            this.#remember('');
          }}
          @roster-sign-in=${this.#again}
        ></roster-users>
      </main>`;
  }

  /** On the laptop: what Roster has sent. */
  #mailbox(): TemplateResult | typeof nothing {
    return config?.mailbox ? html`<a href=${config.mailbox}>${this.words?.mailbox}</a>` : nothing;
  }

  #outside(): TemplateResult {
    const { words, busy } = this;
    return html`<div class="centred">
      <header>${this.brand()} ${this.#mailbox()}</header>
      <main>
        <div class="card">
          <h1>${words?.title}</h1>
          <p class="soft">${words?.lead}</p>
          ${this.failure()}
          <button class="primary" aria-disabled=${busy ? 'true' : 'false'} @click=${() => this.signIn({})}>
            ${busy ? html`<span class="spin"></span>` : nothing}${words?.signIn}
          </button>
        </div>
      </main>
    </div>`;
  }
}

customElements.define('roster-console-page', ConsolePage);
