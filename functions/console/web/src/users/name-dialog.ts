/** `<roster-name-dialog>`: creates or renames an organization. `<roster-users>` loads it on demand. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues } from 'lit';
import { property, state } from 'lit/decorators.js';
import { CallError, newKey } from '../api';
import { Base, withoutBackticks } from '../element';
import type { Organization } from '../elements';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import en, { type NameMessages } from '../messages/en/name';
import style from './dialog.css?inline';

/** The state of the form. */
interface Form {
  /** The user id of the viewer who opened the dialog. */
  viewer: string | undefined;
  /** The organization to rename; undefined to create one. */
  organization: Organization | undefined;
  /** The reason for a refusal, as shown to the user. */
  reason: string;
  busy: boolean;
  /** The name and the idempotency key of the last attempt. A retry with the same name uses the same key. */
  name: string;
  key: string;
  /** Whether the last attempt was refused because the user was signed out. */
  isSignedOut: boolean;
}

/** An attempt failed after the dialog had been closed, or closed the dialog. */
export type NameFailedEvent = CustomEvent<{ reason: string; isOutOfDate: boolean }>;

/**
 * Emits `roster-created` or `roster-renamed`, and `failed` (`NameFailedEvent`) if the dialog cannot show the reason.
 */
export class RosterNameDialog extends Base<NameMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  /** The user id of the viewer. */
  @property({ attribute: false }) viewer: string | undefined;
  @state() private form: Form | undefined;

  protected override readonly catalogue: Catalogue<NameMessages> = {
    en,
    de: () => import('../messages/de/name'),
  };

  /** Opens the dialog: to rename `organization`, or to create one. */
  async open(organization?: Organization): Promise<void> {
    this.form = { viewer: this.viewer, organization, reason: '', busy: false, name: '', key: '', isSignedOut: false };
    await this.messagesLoaded;
    await this.updateComplete;
    this.#dialog?.showModal();
    this.#field?.select();
  }

  get #dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector('dialog');
  }

  get #field(): HTMLInputElement | null {
    return this.renderRoot.querySelector('input');
  }

  protected override updated(changed: PropertyValues<this>): void {
    if (changed.get('getToken')) void this.resume();
  }

  /** Continues after a sign-in of the same user: sends the name again that was refused because the user was signed out. */
  async resume(): Promise<void> {
    if (!this.form?.isSignedOut) return;
    const viewer = await this.api.viewer().catch(() => undefined);
    if (!viewer || !this.form?.isSignedOut) return;
    if (viewer.sub === this.form.viewer) await this.#save(this.form.name, true);
    // A different user has signed in.
    else this.#dialog?.close();
  }

  #onSubmit(event: SubmitEvent): void {
    event.preventDefault();
    void this.#save((this.#field?.value ?? '').trim());
  }

  /** Creates or renames the organization. A silent attempt does not ask the user to sign in. */
  async #save(name: string, isSilent = false): Promise<void> {
    const { form, messages } = this;
    if (!form || form.busy || !messages) return;
    const { organization } = form;
    if (!name) return this.#refuse({ ...form, reason: messages.empty });
    if (name === organization?.name) return this.#dialog?.close();
    const key = name === form.name ? form.key : newKey();
    const sent = (this.form = { ...form, name, key, busy: true, reason: '', isSignedOut: false });
    try {
      const saved = await (organization ? this.api.rename(organization.id, name) : this.api.create(name, key));
      if (this.form === sent) this.#dialog?.close();
      this.emit(organization ? 'roster-renamed' : 'roster-created', { organization: saved });
    } catch (error) {
      this.#onFailed(error, sent, isSilent);
    }
  }

  #onFailed(error: unknown, sent: Form, isSilent: boolean): void {
    const { code = '', status = 0, problem = {} } = error instanceof CallError ? error : {};
    const fieldError = this.language === 'en' ? problem.errors?.[0]?.detail : undefined;
    // After a lost response, a retry with the same name uses the same key. After a refusal, it is a new operation.
    const isSignedOut = code === 'signed_out';
    const isLost = code === 'unreachable' || code === 'unavailable' || isSignedOut;
    // Field errors begin in lower case, since they usually follow the field's name.
    const ownText = isSignedOut ? this.messages?.signedOut : undefined;
    const text = ownText ?? (fieldError ? withoutBackticks(fieldError) : this.problemText(error));
    const reason = text.charAt(0).toUpperCase() + text.slice(1);
    if (isSignedOut && !isSilent) this.emit('roster-sign-in', { email: undefined, change: false });
    // The viewer has lost the owner role or the membership.
    const isOutOfDate = Boolean(sent.organization) && (status === 403 || status === 404);
    if (isOutOfDate && this.form === sent) {
      this.#dialog?.close();
      this.form = undefined;
    }
    // A closed dialog cannot show the reason.
    if (this.form !== sent) {
      this.dispatchEvent(new CustomEvent('failed', { detail: { reason, isOutOfDate } }) satisfies NameFailedEvent);
      return;
    }
    this.#refuse({ ...sent, name: isLost ? sent.name : '', busy: false, reason, isSignedOut });
  }

  /** Shows the reason for a refusal at the field. */
  #refuse(form: Form): void {
    this.form = form;
    void this.updateComplete.then(() => this.#field?.focus());
  }

  protected override render(): unknown {
    const { messages, form } = this;
    if (!messages || !form) return nothing;
    const [title, saveLabel] = form.organization ? [messages.renameTitle, messages.save] : [messages.createTitle, messages.create];
    return html`<dialog aria-labelledby="title" @close=${() => (this.form = undefined)}>
      <form @submit=${this.#onSubmit} novalidate>
        <div class="body">
          <h2 id="title">${title}</h2>
          <div class="field">
            <label for="name">${messages.name}</label>
            <input
              id="name"
              name="name"
              value=${form.organization?.name ?? ''}
              maxlength="60"
              autocomplete="organization"
              autofocus
              aria-invalid=${Boolean(form.reason)}
              aria-describedby="hint reason"
            />
            <p id="hint" class="soft">${messages.nameHint}</p>
            <p id="reason" class="bad-text" role="alert">${form.reason ? html`${icons.alert} ${form.reason}` : nothing}</p>
          </div>
        </div>
        <div class="foot">
          <button type="button" @click=${() => this.#dialog?.close()}>${messages.cancel}</button>
          <button class="primary" aria-disabled=${form.busy}>
            ${form.busy ? html`<span class="spin" aria-hidden="true"></span>` : nothing}${saveLabel}
          </button>
        </div>
      </form>
    </dialog>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-name-dialog': RosterNameDialog;
  }
}

customElements.define('roster-name-dialog', RosterNameDialog);
