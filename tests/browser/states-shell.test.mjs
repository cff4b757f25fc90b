import { auditStates } from './audit-states.mjs';
import { SHELL } from './states.mjs';

auditStates(SHELL);
