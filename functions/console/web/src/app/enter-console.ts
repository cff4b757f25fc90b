/**
 * Begins the console, `/`: what somebody comes back from the identity provider with, or is about to go there for, does not
 * wait until there is something to show.
 */
import { session } from './session';

if (session?.wasSignedIn) void import('./oauth');
void import('./console');
