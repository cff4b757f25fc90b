/** Mistakes that the type check must report. */
import type {} from 'roster-elements/react';

export const mistakes = [
  // @ts-expect-error: the property is `organization`.
  <roster-users organisation="org_e9qq6x35e8pp8sbddwpp2rvdcm" />,
  // @ts-expect-error: a number is no token.
  <roster-users getToken={() => 42} />,
  // @ts-expect-error: the event has no such detail.
  <roster-users onroster-invited={({ detail }) => detail.unknown} />,
  // @ts-expect-error: only `<roster-accept>` has a link token.
  <roster-users token="token" />,
  // @ts-expect-error: the token is a string.
  <roster-accept token={42} />,
];
