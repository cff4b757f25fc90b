import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import lit from 'eslint-plugin-lit';
import typescript from 'typescript-eslint';

export default defineConfig(globalIgnores(['dist', 'src/openapi.ts', 'types']), js.configs.recommended, {
  files: ['**/*.ts'],
  extends: [typescript.configs.recommendedTypeChecked, lit.configs['flat/recommended']],
  languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
  rules: {
    // `node:test` runs the tests. A top-level `test()` needs no `await`.
    '@typescript-eslint/no-floating-promises': [
      'error',
      { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: 'test' }] },
    ],
    // The code checks the fields of parsed JSON, which has the type `any`.
    '@typescript-eslint/no-unsafe-argument': 'off',
    '@typescript-eslint/no-unsafe-assignment': 'off',
    '@typescript-eslint/no-unsafe-return': 'off',
    // It also reports the values of text fields in forms, whose type includes `File`.
    '@typescript-eslint/no-base-to-string': 'off',
    // `HTMLElementEventMap` takes its members from another interface.
    '@typescript-eslint/no-empty-object-type': ['error', { allowInterfaces: 'with-single-extends' }],
    '@typescript-eslint/no-unnecessary-type-assertion': 'off',
    '@typescript-eslint/require-await': 'off',
    'no-useless-assignment': 'off',
    // Escapes show each character on its own.
    'no-misleading-character-class': ['error', { allowEscape: true }],
  },
});
