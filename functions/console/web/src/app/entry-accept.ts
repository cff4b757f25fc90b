/**
 * The entry of the accept page, `/accept`.
 *
 * `./link` must stay the first import, because importing it removes the link token from the address bar before any
 * other code runs. `./session` completes the sign-in after the return from the identity provider. It is imported here,
 * so that this starts before the page's own code is loaded.
 */
import './link';
import './session';
import { show } from './show';

void show(import('./accept'));
