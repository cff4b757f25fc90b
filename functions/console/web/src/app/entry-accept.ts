/**
 * The entry of the accept page, `/accept`. It removes the token from the address bar before anything else is loaded.
 */
import './link';
import './session';

void import('./accept');
