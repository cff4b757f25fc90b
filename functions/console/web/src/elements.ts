/**
 * The public types of the elements: their properties and events. The types for React, Vue and Svelte (`types/`) are
 * mapped from these.
 *
 * Imports have the extension `.js`: without it, TypeScript does not find a package's types under `nodenext`.
 */
import type { components } from './openapi.js';

type Schemas = components['schemas'];
/** A role. An owner can grant both roles, a member only `member`. */
export type Role = Schemas['Role'];
/** The organization, as the caller sees it. */
export type Organization = Schemas['Organization'];
/** A user who belongs to the organization. */
export type Member = Schemas['Member'];
/** The invitation of one address to the organization, in any status. */
export type Invitation = Schemas['Invitation'];
/** The result of inviting one address. */
export type InviteResult = Schemas['InviteResults']['results'][number];

/**
 * Returns the token that you send to the API, or null if the user is not signed in.
 *
 * The element calls it before every request, so it should cache the token. `refresh` is true if the API has just
 * rejected the last token: then return a new one. If the promise rejects, the element shows that the connection is
 * lost.
 */
export type GetToken = (options: { refresh: boolean }) => string | null | Promise<string | null>;

/** The properties of both elements. */
interface RosterProperties {
  /**
   * The URL of the API without `/v1`: `https://users.example.com`. Empty for the page's own origin. Attribute
   * `api-base`.
   */
  apiBase: string;
  /**
   * Returns the user's token for the API. The element waits until this property is set. After 10 seconds, it says that
   * the page is not set up.
   */
  getToken: GetToken | undefined;
}

/** The properties of `<roster-users>`. */
export interface RosterUsersProperties extends RosterProperties {
  /**
   * The id of the organization. With `switch`, the organization that is shown first; if empty, the first one of the
   * user. Attribute `organization`.
   */
  organization: string;
  /** Whether users can switch to another organization or create one. Attribute `switch`. */
  switch: boolean;
}

/** The properties of `<roster-accept>`. */
export interface RosterAcceptProperties extends RosterProperties {
  /** The link token: the part after the `#` of the link in the mail. It has no attribute because it is a secret. */
  token: string;
  /**
   * Whether the page is acting on `roster-sign-in` or `roster-open`: the buttons then wait. Attribute `busy`.
   */
  busy: boolean;
}

/** Both elements. */
export interface RosterElement extends HTMLElement, RosterProperties {}

/** `<roster-users>`: lists an organization's members and invitations, and lets users manage them. */
export interface RosterUsersElement extends HTMLElement, RosterUsersProperties {
  /** Loads all data again. */
  refresh(): Promise<void>;
}

/** `<roster-accept>`: shows an invitation, which the user can accept or decline. */
export interface RosterAcceptElement extends HTMLElement, RosterAcceptProperties {}

/** The events of both elements. */
interface RosterSignInEventMap {
  /** The user must sign in: as `email` if it is known; with `change`, with a different account. */
  'roster-sign-in': CustomEvent<{ email: string | undefined; change: boolean }>;
}

/** The events of `<roster-users>`. */
export interface RosterUsersEventMap extends RosterSignInEventMap {
  /** The list has loaded for the first time. */
  'roster-loaded': CustomEvent<{ organization: Organization }>;
  /** The element shows another organization from now on. */
  'roster-organization-change': CustomEvent<{ organization: string }>;
  /** The user created an organization. */
  'roster-created': CustomEvent<{ organization: Organization }>;
  /** The user renamed the organization. */
  'roster-renamed': CustomEvent<{ organization: Organization }>;
  /** The user invited people. `results` holds only the results with the outcome `invited`. */
  'roster-invited': CustomEvent<{ organization: string; results: InviteResult[] }>;
  /** The user resent an invitation. */
  'roster-resent': CustomEvent<{ organization: string; invitation: Invitation }>;
  /** The user revoked an invitation. */
  'roster-revoked': CustomEvent<{ organization: string; invitation: Invitation }>;
  /** The user changed the role of a member. */
  'roster-role-edited': CustomEvent<{ organization: string; member: Member }>;
  /** The user removed a member. */
  'roster-removed': CustomEvent<{ organization: string; member: Member }>;
  /** The user left the organization. */
  'roster-left': CustomEvent<{ organization: string }>;
}

/** The events of `<roster-accept>`. */
export interface RosterAcceptEventMap extends RosterSignInEventMap {
  /** The user accepted the invitation, and is now a member. */
  'roster-accepted': CustomEvent<{ organization: { id: string; name: string }; member: Member }>;
  /** The user declined the invitation. */
  'roster-declined': CustomEvent<{ organization: { id: string; name: string } }>;
  /**
   * The invitation can no longer be accepted or declined, or has just been. Delete the link token if the page stores
   * it. `organization` is undefined if the invitation could not be loaded.
   */
  'roster-invitation-closed': CustomEvent<{ organization: { id: string; name: string } | undefined }>;
  /** The user clicked the button to open the organization that they are a member of. */
  'roster-open': CustomEvent<{ organization: { id: string; name: string } }>;
}

/** The events of all elements. All of them bubble and cross shadow roots. */
export interface RosterEventMap extends RosterUsersEventMap, RosterAcceptEventMap {}

declare global {
  interface HTMLElementTagNameMap {
    'roster-users': RosterUsersElement;
    'roster-accept': RosterAcceptElement;
  }
  interface HTMLElementEventMap extends RosterEventMap {}
}
