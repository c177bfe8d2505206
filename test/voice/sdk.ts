// The Voice API's own Node SDK. Its ES modules import directories, which Node does not, so it is required.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
export const sdk = require('@vonage/voice') as typeof import('@vonage/voice')
export const { tokenGenerate } = require('@vonage/jwt') as typeof import('@vonage/jwt')
