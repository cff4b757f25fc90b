/** The types of the elements in the templates of Vue 3. */
import type { EmitFn, HTMLAttributes, PublicProps } from 'vue';
import type {
  RosterAcceptElement,
  RosterAcceptEventMap,
  RosterAcceptProperties,
  RosterUsersElement,
  RosterUsersEventMap,
  RosterUsersProperties,
} from '../dist/npm/types/elements.js';

/** What Vue's tools expect of a component: a class whose instances have the types of the props and events. */
type Component<Element extends HTMLElement, Properties, Events> = new () => Element & {
  /** @deprecated Only the types of a template. A reference to the element has no such property. */
  $props: HTMLAttributes & PublicProps & Partial<Properties>;
  /** @deprecated Only the types of a template. A reference to the element has no such property. */
  $emit: EmitFn<{ [Name in keyof Events]: (event: Events[Name]) => void }>;
};

declare module 'vue' {
  interface GlobalComponents {
    'roster-users': Component<RosterUsersElement, RosterUsersProperties, RosterUsersEventMap>;
    'roster-accept': Component<RosterAcceptElement, RosterAcceptProperties, RosterAcceptEventMap>;
  }
}
