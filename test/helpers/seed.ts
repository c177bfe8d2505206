// Properties draw the same cases in every run, so that a change alone can make one fail. FC_SEED draws others.

import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 20_261_121) })
