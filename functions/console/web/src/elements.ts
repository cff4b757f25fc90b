/**
 * What a page that embeds the elements has to know of them: their properties and their events.
 */
import type { components } from './openapi';

type Schemas = components['schemas'];
/** An owner grants both roles, a member `member` only. */
export type Role = Schemas['Role'];
/** The organization, as the caller sees it. */
export type Organization = Schemas['Organization'];
/** A user who belongs to the organization. */
export type Member = Schemas['Member'];
/** The standing of one address in the organization. */
export type Invitation = Schemas['Invitation'];
/** What became of one address of an invite. */
export type InviteResult = Schemas['InviteResults']['results'][number];

/**
 * Gives the access token that the API is called with, or null where nobody is signed in.
 *
 * It is asked before every call, so it should keep the token that it has. With `refresh` the API has just refused that
 * one: get another. Where nobody can be asked for one it rejects: that is shown as a lost connection.
 */
export type GetToken = (options: { refresh: boolean }) => string | null | Promise<string | null>;

/** What both elements have in common. */
export interface RosterElement extends HTMLElement {
  /** Where the API is, without `/v1`: `https://users.example.com`. Empty for the page's own origin. Attribute `api-base`. */
  apiBase: string;
  /** Who signs the caller in. To be set before the element does anything. */
  getToken: GetToken | undefined;
}

/** `<roster-users>`: an organization's members and invitations, and what may be done about them. */
export interface RosterUsersElement extends RosterElement {
  /** The organization's id. With `switch`, the one to begin with: the first one if empty. Attribute `organization`. */
  organization: string;
  /** Whether another organization may be chosen, or founded. Attribute `switch`. */
  switch: boolean;
  /** Asks for everything again. */
  refresh(): Promise<void>;
}

/** `<roster-accept>`: an invitation, and the answer to it. */
export interface RosterAcceptElement extends RosterElement {
  /** What stands behind the `#` of the mail's link. No attribute: it is a secret. */
  token: string;
}

/** What the elements tell. The events bubble, and cross shadow roots. */
export interface RosterEventMap {
  /** The list is there. */
  'roster-loaded': CustomEvent<{ organization: Organization }>;
  /** Another organization is shown from here on. */
  'roster-organization-change': CustomEvent<{ organization: string }>;
  /** An organization was founded. */
  'roster-created': CustomEvent<{ organization: Organization }>;
  /** The organization has another name. */
  'roster-renamed': CustomEvent<{ organization: Organization }>;
  /** People were invited: those with the outcome `invited`. */
  'roster-invited': CustomEvent<{ organization: string; results: InviteResult[] }>;
  /** An invitation was sent again. */
  'roster-resent': CustomEvent<{ organization: string; invitation: Invitation }>;
  /** An invitation was withdrawn. */
  'roster-revoked': CustomEvent<{ organization: string; invitation: Invitation }>;
  /** A member has another role. */
  'roster-role-edited': CustomEvent<{ organization: string; member: Member }>;
  /** A member was removed. */
  'roster-removed': CustomEvent<{ organization: string; member: Member }>;
  /** The viewer has left the organization. */
  'roster-left': CustomEvent<{ organization: string }>;
  /** The invitation was accepted: the viewer is a member. */
  'roster-accepted': CustomEvent<{ organization: { id: string; name: string }; member: Member }>;
  /** The invitation was declined. */
  'roster-declined': CustomEvent<{ organization: { id: string; name: string } }>;
  /** The person asks to go on to the organization that they are a member of. */
  'roster-open': CustomEvent<{ organization: { id: string; name: string } }>;
  /** The person has to sign in, as `email` if it is known; with `change`, as somebody else than now. */
  'roster-sign-in': CustomEvent<{ email: string | undefined; change: boolean }>;
}

declare global {
  interface HTMLElementTagNameMap {
    'roster-users': RosterUsersElement;
    'roster-accept': RosterAcceptElement;
  }
  interface HTMLElementEventMap extends RosterEventMap {}
}
