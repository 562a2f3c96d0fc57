import { fileURLToPath } from 'node:url'

/** The folder of badass's own code: src/, or dist/ in the package. This file and its bundle are one level below. */
export const OWN_FOLDER = fileURLToPath(new URL('..', import.meta.url))
