import { auditStates } from './audit-states.mjs';
import { ACCEPT } from './states.mjs';

auditStates(ACCEPT);
