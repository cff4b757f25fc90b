/** The page's configuration, and whoever is signed in: one of each, whichever page is shown. */
import { readConfig, speak } from './config';
import { Session } from './sign-in';

export const config = readConfig();
speak(config);
/** Undefined where there is no configuration to sign in with. */
export const session = config && new Session(config);
