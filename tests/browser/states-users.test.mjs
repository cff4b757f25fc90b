import { hold } from './held.mjs';
import { USERS } from './states.mjs';

hold(USERS);
