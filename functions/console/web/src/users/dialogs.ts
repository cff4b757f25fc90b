/** The dialogs of the list. Each is loaded when it is opened for the first time. */
import { html, nothing, type LitElement, type TemplateResult } from 'lit';
import type { GetToken, RosterEventMap } from '../elements';
import type { NameFailedEvent } from './name-dialog';
import { grantableRoles, type Users } from './rows';

const LOADERS = {
  'roster-confirm-dialog': () => import('./confirm-dialog'),
  'roster-invite-dialog': () => import('../invite/roster-invite-dialog'),
  'roster-name-dialog': () => import('./name-dialog'),
};
export type DialogName = keyof typeof LOADERS;

/** The properties and event handlers of the dialogs. */
export interface DialogProperties {
  /** The language tag of the messages. */
  readonly tag: string;
  readonly apiBase: string;
  readonly getToken: GetToken | undefined;
  /** The user id of the viewer. */
  readonly viewer: string | undefined;
  readonly users: Users | undefined;
  readonly onCreated: (event: RosterEventMap['roster-created']) => void;
  readonly onRenamed: (event: RosterEventMap['roster-renamed']) => void;
  readonly onNameFailed: (event: NameFailedEvent) => void;
  readonly onInvited: (event: RosterEventMap['roster-invited']) => void;
  readonly onInviteClosed: (event: Event) => void;
}

export class Dialogs {
  readonly #host: LitElement;
  /** Loads a module. Returns undefined if that fails. */
  readonly #load: <Module>(load: () => Promise<Module>) => Promise<Module | undefined>;
  readonly #loaded = new Set<DialogName>();
  /** The dialog that is being loaded. */
  opening: DialogName | undefined;

  constructor(host: LitElement, load: <Module>(load: () => Promise<Module>) => Promise<Module | undefined>) {
    this.#host = host;
    this.#load = load;
  }

  /** Loads dialogs that the user will probably open. */
  preload(...names: DialogName[]): void {
    for (const name of names) void LOADERS[name]().catch(() => {});
  }

  /** Returns a dialog, which is loaded the first time. Returns undefined if it cannot be loaded. */
  async get<Name extends DialogName>(name: Name): Promise<HTMLElementTagNameMap[Name] | undefined> {
    const host = this.#host;
    this.opening = name;
    host.requestUpdate();
    const module = await this.#load<unknown>(LOADERS[name]);
    this.opening = undefined;
    if (module) this.#loaded.add(name);
    host.requestUpdate();
    await host.updateComplete;
    return this.#find(name) ?? undefined;
  }

  #find<Name extends DialogName>(name: Name): HTMLElementTagNameMap[Name] | null {
    return this.#host.renderRoot.querySelector(name);
  }

  /** Continues to send invitations after a sign-in. */
  resumeInvitations(): void {
    void this.#find('roster-invite-dialog')?.resume();
  }

  /** Saves a name after a sign-in. */
  resumeName(): void {
    void this.#find('roster-name-dialog')?.resume();
  }

  render({ tag, apiBase, getToken, viewer, users, ...on }: DialogProperties): TemplateResult {
    const loaded = this.#loaded;
    return html`${loaded.has('roster-confirm-dialog') ? html`<roster-confirm-dialog lang=${tag}></roster-confirm-dialog>` : nothing}
    ${
      loaded.has('roster-name-dialog')
        ? html`<roster-name-dialog
          lang=${tag}
          .apiBase=${apiBase}
          .getToken=${getToken}
          .viewer=${viewer}
          @roster-created=${on.onCreated}
          @roster-renamed=${on.onRenamed}
          @failed=${on.onNameFailed}
        ></roster-name-dialog>`
        : nothing
    }
    ${
      loaded.has('roster-invite-dialog') && users
        ? html`<roster-invite-dialog
          lang=${tag}
          .apiBase=${apiBase}
          .getToken=${getToken}
          .organization=${users.organization.id}
          .organizationName=${users.organization.name}
          .roles=${grantableRoles(users.organization.role)}
          .seatsFree=${users.organization.seats.free}
          .members=${users.members}
          .invitations=${users.invitations}
          @roster-invited=${on.onInvited}
          @close=${on.onInviteClosed}
        ></roster-invite-dialog>`
        : nothing
    }`;
  }
}
