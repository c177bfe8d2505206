// metaflow: from here on keys pressed in this call mean what the node says, beside what the documents say (cf_metaflow.erl).

import type { Action } from '../call.ts'
import { next } from '../flow.ts'
import { ON_LEG } from '../metaflows.ts'

export const metaflow: Action = async ({ skip_module: _skipped, ...metaflows }, call) => {
  await call.node.setVariables(call.leg.uuid, { [ON_LEG]: JSON.stringify(metaflows) })
  return next()
}
