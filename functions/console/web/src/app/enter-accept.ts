/** Begins the page behind the mail's link, `/accept`: the token leaves the address bar before anything else is loaded. */
import './link';
import './session';

void import('./accept');
