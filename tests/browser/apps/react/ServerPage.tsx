import { ClientOnly } from './ClientOnly';
import { People } from './People';

export const ServerPage = () => (
  <ClientOnly>
    <People organization="org_e9qq6x35e8pp8sbddwpp2rvdcm" />
  </ClientOnly>
);
