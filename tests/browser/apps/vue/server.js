import { createSSRApp } from 'vue';
import { renderToString } from 'vue/server-renderer';
import People from './People.vue';

export const render = () => renderToString(createSSRApp(People, { organization: 'org_e9qq6x35e8pp8sbddwpp2rvdcm' }));
