import { auditStates } from './audit-states.mjs';
import { USERS } from './states.mjs';

auditStates(USERS);
