/** The types of the elements in the markup of Svelte 5. */
import type { HTMLAttributes } from 'svelte/elements';
import type {
  RosterAcceptElement,
  RosterAcceptEventMap,
  RosterAcceptProperties,
  RosterUsersElement,
  RosterUsersEventMap,
  RosterUsersProperties,
} from '../dist/npm/types/elements.js';

/** Svelte listens to the event `roster-invited` for the attribute `onroster-invited`. */
type Handlers<Events> = { [Name in keyof Events & string as `on${Name}`]?: ((event: Events[Name]) => void) | undefined };

type Attributes<Element extends HTMLElement, Properties, Events> = HTMLAttributes<Element> &
  Partial<Properties> &
  Handlers<Events> & { 'api-base'?: string };

declare module 'svelte/elements' {
  export interface SvelteHTMLElements {
    'roster-users': Attributes<RosterUsersElement, RosterUsersProperties, RosterUsersEventMap>;
    'roster-accept': Attributes<RosterAcceptElement, RosterAcceptProperties, RosterAcceptEventMap>;
  }
}
