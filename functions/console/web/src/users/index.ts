/** Defines `<roster-users>`. */
import { RosterUsers } from './roster-users';

if (!customElements.get('roster-users')) customElements.define('roster-users', RosterUsers);
