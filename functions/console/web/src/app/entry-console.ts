/** The entry of the console, `/`. It starts the sign-in before the page's own code is loaded, to save time. */
import { session } from './session';
import { show } from './show';

if (session?.wasSignedIn) void import('./oauth');
void show(import('./console'));
