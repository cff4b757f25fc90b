import { hold } from './held.mjs';
import { ACCEPT } from './states.mjs';

hold(ACCEPT);
