import { createSSRApp } from 'vue';
import People from './People.vue';

createSSRApp(People, { organization: 'org_e9qq6x35e8pp8sbddwpp2rvdcm' }).mount('#app');
