import { hold } from './held.mjs';
import { SHELL } from './states.mjs';

hold(SHELL);
