import { createApp } from 'vue';
import People from './People.vue';

createApp(People, { organization: 'org_e9qq6x35e8pp8sbddwpp2rvdcm' }).mount('#app');
