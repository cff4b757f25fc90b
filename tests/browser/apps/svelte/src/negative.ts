/** Mistakes that the type check must report. */
import type { SvelteHTMLElements } from 'svelte/elements';
import type {} from 'roster-elements/svelte';

export const mistakes: SvelteHTMLElements['roster-users'][] = [
  // @ts-expect-error: the property is `organization`.
  { organisation: 'org_e9qq6x35e8pp8sbddwpp2rvdcm' },
  // @ts-expect-error: a number is no token.
  { getToken: () => 42 },
  // @ts-expect-error: the event has no such detail.
  { 'onroster-invited': ({ detail }) => detail.unknown },
];
