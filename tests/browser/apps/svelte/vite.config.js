import { sveltekit } from '@sveltejs/kit/vite';
import { api } from '../api.js';

export default { plugins: [api(process.env.ROSTER_API), sveltekit({ paths: { base: '/svelte' } })] };
