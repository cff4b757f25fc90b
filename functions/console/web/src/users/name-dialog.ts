/** `<roster-name-dialog>`: creates or renames an organization. `<roster-users>` loads it on demand. */
import { html, nothing, unsafeCSS, type CSSResultGroup } from 'lit';
import { state } from 'lit/decorators.js';
import { CallError, newKey } from '../api';
import { Base, withoutBackticks } from '../element';
import type { Organization } from '../elements';
import type { Catalogue } from '../i18n';
import * as icons from '../icons';
import en, { type NameMessages } from '../messages/en/name';
import style from './dialog.css?inline';

/** The state of the form. */
interface Form {
  /** The organization to rename; undefined to create one. */
  organization: Organization | undefined;
  /** The reason for a refusal, as shown to the user. */
  reason: string;
  busy: boolean;
  /** The name and the idempotency key of the last attempt. A retry with the same name uses the same key. */
  name: string;
  key: string;
}

/** An attempt failed after the dialog had been closed, or closed the dialog. */
export type NameFailedEvent = CustomEvent<{ reason: string; isOutOfDate: boolean }>;

/**
 * Emits `roster-created` or `roster-renamed`, and `failed` (`NameFailedEvent`) if the dialog cannot show the reason.
 */
export class RosterNameDialog extends Base<NameMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  @state() private form: Form | undefined;

  protected override readonly catalogue: Catalogue<NameMessages> = {
    en,
    de: () => import('../messages/de/name'),
  };

  /** Opens the dialog: to rename `organization`, or to create one. */
  async open(organization?: Organization): Promise<void> {
    this.form = { organization, reason: '', busy: false, name: '', key: '' };
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

  async #save(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const { form } = this;
    if (!form || form.busy) return;
    const { organization } = form;
    const name = (this.#field?.value ?? '').trim();
    if (name === organization?.name) return this.#dialog?.close();
    const key = name === form.name ? form.key : newKey();
    const sent = (this.form = { organization, name, key, busy: true, reason: '' });
    try {
      const saved = await (organization ? this.api.rename(organization.id, name) : this.api.create(name, key));
      if (this.form === sent) this.#dialog?.close();
      this.emit(organization ? 'roster-renamed' : 'roster-created', { organization: saved });
    } catch (error) {
      this.#onFailed(error, sent);
    }
  }

  #onFailed(error: unknown, sent: Form): void {
    const { code = '', status = 0, problem = {} } = error instanceof CallError ? error : {};
    const fieldError = this.language === 'en' ? problem.errors?.[0]?.detail : undefined;
    // After a lost response, a retry with the same name uses the same key. After a refusal, it is a new operation.
    const isLost = code === 'unreachable' || code === 'unavailable' || code === 'signed_out';
    // Field errors begin in lower case, since they usually follow the field's name.
    const text = fieldError ? withoutBackticks(fieldError) : this.problemText(error);
    const reason = text.charAt(0).toUpperCase() + text.slice(1);
    if (code === 'signed_out') this.emit('roster-sign-in', { email: undefined, change: false });
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
    this.form = { ...sent, name: isLost ? sent.name : '', busy: false, reason };
    void this.updateComplete.then(() => this.#field?.focus());
  }

  protected override render(): unknown {
    const { messages, form } = this;
    if (!messages || !form) return nothing;
    const [title, saveLabel] = form.organization ? [messages.renameTitle, messages.save] : [messages.createTitle, messages.create];
    return html`<dialog aria-labelledby="title" @close=${() => (this.form = undefined)}>
      <form @submit=${this.#save} novalidate>
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
