import { hydrateRoot } from 'react-dom/client';
import { ServerPage } from './ServerPage';

hydrateRoot(document.getElementById('app')!, <ServerPage />);
