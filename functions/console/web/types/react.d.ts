/** The types of the elements in the TSX of React 19. */
import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type {
  RosterAcceptElement,
  RosterAcceptEventMap,
  RosterAcceptProperties,
  RosterUsersElement,
  RosterUsersEventMap,
  RosterUsersProperties,
} from '../dist/npm/types/elements.js';

/** React listens to the event `roster-invited` for the property `onroster-invited`. */
type Handlers<Events> = { [Name in keyof Events & string as `on${Name}`]?: ((event: Events[Name]) => void) | undefined };

type Props<Element extends HTMLElement, Properties, Events> = DetailedHTMLProps<HTMLAttributes<Element>, Element> &
  Partial<Properties> &
  Handlers<Events> & { 'api-base'?: string };

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'roster-users': Props<RosterUsersElement, RosterUsersProperties, RosterUsersEventMap>;
      'roster-accept': Props<RosterAcceptElement, RosterAcceptProperties, RosterAcceptEventMap>;
    }
  }
}
