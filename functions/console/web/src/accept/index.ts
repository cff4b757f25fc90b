/** Defines `<roster-accept>`. */
import { RosterAccept } from './roster-accept';

if (!customElements.get('roster-accept')) customElements.define('roster-accept', RosterAccept);
