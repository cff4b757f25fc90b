import { useSyncExternalStore, type ReactNode } from 'react';

const subscribe = () => () => {};

/** Renders its children only in the browser, after the hydration. */
export function ClientOnly({ children }: { children: ReactNode }) {
  const isHydrated = useSyncExternalStore(subscribe, () => true, () => false);
  return isHydrated ? children : null;
}
