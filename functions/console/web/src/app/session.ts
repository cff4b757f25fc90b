/** The configuration and the session. Both pages share them. */
import { readConfig, setPageLanguage } from './config';
import { Session } from './sign-in';

export const config = readConfig();
setPageLanguage(config);
/** Undefined if the configuration is missing or invalid. */
export const session = config && new Session(config);
