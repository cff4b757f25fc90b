import { renderToString } from 'react-dom/server';
import { ServerPage } from './ServerPage';

export const render = () => renderToString(<ServerPage />);
