import { auditStates } from './audit-states.mjs';
import { INVITE } from './states.mjs';

auditStates(INVITE);
