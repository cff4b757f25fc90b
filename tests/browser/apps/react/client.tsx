import { createRoot } from 'react-dom/client';
import { People } from './People';

createRoot(document.getElementById('app')!).render(<People organization="org_e9qq6x35e8pp8sbddwpp2rvdcm" />);
