/**
 * The entry of the console, `/`. To save time, it starts to load what a user who has signed in before needs, together with
 * the page's own code. The sign-in page does not need it.
 */
import { session } from './session';
import { show } from './show';

if (session?.wasSignedIn) {
  void import('./oauth');
  void import('../users').catch(() => {});
}
void show(import('./console'));
