// Where the package's own data lies (couchdb/, callflows/, freeswitch/): two levels above build/src.

import { fileURLToPath } from 'node:url'

/** Absolute path of a file or folder of the package, with no slash at its end. */
export const packagePath = (relative: string): string => fileURLToPath(new URL(`../../${relative}`, import.meta.url))
