/** The choice of the role in the invite dialog. */
import { html, nothing, unsafeCSS, type CSSResultGroup, type PropertyValues, type TemplateResult } from 'lit';
import { property, state } from 'lit/decorators.js';
import { live } from 'lit/directives/live.js';
import { Base } from '../element';
import type { Role } from '../elements';
import { alert } from '../icons';
import type { CommonMessages } from '../messages/en/common';
import type { InviteMessages } from '../messages/en/invite';
import type { Chip } from './list';
import { catalogue } from './roster-address-field';
import style from './role-choice.css?inline';

/**
 * `<roster-role-choice>`, which `<roster-invite-dialog>` contains. It emits `change` when the user chooses a role.
 *
 * Owners can remove everyone else, and an arrow key is enough to choose the role. So the user must confirm the role
 * for the people who get it. A check box does not move other controls below the pointer, as a second question would.
 */
export class RosterRoleChoice extends Base<InviteMessages> {
  static override styles: CSSResultGroup = [super.styles, unsafeCSS(style)];

  @property({ attribute: false }) organizationName = '';
  /** The roles that the viewer can grant. */
  @property({ attribute: false }) roles: readonly Role[] = ['member'];
  /** The people who get the role. */
  @property({ attribute: false }) people: readonly Chip[] = [];
  /** The chosen role. */
  value: Role = 'member';

  /** The addresses for which the user has confirmed that they become owners. */
  @state() private confirmed: ReadonlySet<string> = new Set();
  /** Whether the user tried to send without the confirmation. */
  @state() private isMissing = false;

  protected readonly catalogue = catalogue;

  /** Chooses the role with fewer rights again. */
  reset(): void {
    this.#choose('member');
  }

  /** Returns whether invitations can be sent with the role. If not, shows why, and focuses the check box. */
  validate(): boolean {
    this.isMissing = this.value === 'owner' && !this.#isConfirmed;
    if (!this.isMissing) return true;
    this.announce(this.messages?.ownerMissing ?? '');
    const box = this.renderRoot.querySelector<HTMLElement>('input[type=checkbox]');
    box?.scrollIntoView({ block: 'nearest' });
    box?.focus();
    return false;
  }

  /** Whether the confirmation includes all people. After a part was invited, it is valid for the others. */
  get #isConfirmed(): boolean {
    return this.people.length > 0 && this.people.every(({ key }) => this.confirmed.has(key));
  }

  #choose(role: Role): void {
    this.value = role;
    this.confirmed = new Set();
    this.isMissing = false;
    this.requestUpdate();
    this.dispatchEvent(new Event('change'));
  }

  #confirm(isConfirmed: boolean): void {
    this.confirmed = new Set(isConfirmed ? this.people.map(({ key }) => key) : []);
    this.isMissing = false;
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    // The viewer has lost the right to grant the role.
    if (changed.has('roles') && !this.roles.includes(this.value)) this.reset();
  }

  protected override render(): TemplateResult {
    const { messages, roles } = this;
    if (!messages) return this.liveRegion();
    const [first, ...others] = roles;
    if (first && !others.length) {
      return html`${this.liveRegion()}
        <p class="only">
          <span class="label">${messages.role}</span> ${messages.roles[first]} <small>${messages.roleHelp[first]}</small>
        </p>`;
    }
    return html`${this.liveRegion()}
      <fieldset>
        <legend>${messages.role}</legend>
        <div class="roles">
          ${roles.map(
            (role) =>
              html`<label class="role">
                <input
                  type="radio"
                  name="role"
                  value=${role}
                  .checked=${live(role === this.value)}
                  @change=${() => this.#choose(role)}
                />
                ${messages.roles[role]} <small>${messages.roleHelp[role]}</small>
              </label>`,
          )}
        </div>
      </fieldset>
      ${this.value === 'owner' ? this.#renderConfirmation(messages) : nothing}`;
  }

  #renderConfirmation(messages: InviteMessages & CommonMessages): TemplateResult {
    const { people, isMissing } = this;
    const [only] = people;
    const confirmation =
      only && people.length === 1
        ? messages.confirmOwner(this.readable(only.address), this.organizationName)
        : messages.confirmOwners(this.formats.number(people.length), this.organizationName);
    return html`<div class="notice warn">
      ${alert}
      <div>
        <p id="power">${messages.ownerPower}</p>
        ${
          only
            ? html`<label class="confirm">
              <input
                type="checkbox"
                aria-describedby=${isMissing ? 'missing power' : 'power'}
                aria-invalid=${isMissing}
                .checked=${live(this.#isConfirmed)}
                @change=${(event: Event) => this.#confirm((event.target as HTMLInputElement).checked)}
              />
              <span>${confirmation}</span>
            </label>`
            : nothing
        }
        ${isMissing ? html`<p id="missing" class="bad-text">${messages.ownerMissing}</p>` : nothing}
      </div>
    </div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-role-choice': RosterRoleChoice;
  }
}

customElements.define('roster-role-choice', RosterRoleChoice);
