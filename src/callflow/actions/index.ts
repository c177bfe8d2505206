// The only list of callflow modules: the name a document uses, and what it does. One file each; a new
// module is one file, one line here, and a schema couchdb/schemas/callflows.{module}.json.

import type { Action } from '../call.ts'
import { answer } from './answer.ts'
import { callflow } from './callflow.ts'
import { dead_air } from './dead_air.ts'
import { device } from './device.ts'
import { hangup } from './hangup.ts'
import { language } from './language.ts'
import { menu } from './menu.ts'
import { metaflow } from './metaflow.ts'
import { ncco } from './ncco.ts'
import { noop } from './noop.ts'
import { pivot } from './pivot.ts'
import { play } from './play.ts'
import { record_call } from './record_call.ts'
import { record_caller } from './record_caller.ts'
import { resources } from './resources.ts'
import { response } from './response.ts'
import { ring_group } from './ring_group.ts'
import { set_variables } from './set_variables.ts'
import { siprec_recording } from './siprec_recording.ts'
import { sleep } from './sleep.ts'
import { temporal_route } from './temporal_route.ts'
import { transfer } from './transfer.ts'
import { tts } from './tts.ts'
import { user } from './user.ts'
import { wait_for_hangup } from './wait_for_hangup.ts'
import { webhook } from './webhook.ts'

export const actions: ReadonlyMap<string, Action> = new Map(
  Object.entries({
    answer,
    callflow,
    dead_air,
    device,
    hangup,
    language,
    menu,
    metaflow,
    ncco,
    noop,
    pivot,
    play,
    record_call,
    record_caller,
    resources,
    response,
    ring_group,
    set_variables,
    siprec_recording,
    sleep,
    temporal_route,
    transfer,
    tts,
    user,
    wait_for_hangup,
    webhook,
  }),
)

export const modules: readonly string[] = [...actions.keys()]
