import { hold } from './held.mjs';
import { INVITE } from './states.mjs';

hold(INVITE);
