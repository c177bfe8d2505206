// What a switch tells of a leg, with all that a test does not care about left empty.

import type { Leg } from '../../src/switch/switch.ts'

export const aLeg = (uuid: string, known: Partial<Leg> = {}): Leg => ({
  node: 'fs1',
  uuid,
  direction: 'inbound',
  answered: true,
  destination: '',
  callerIdName: '',
  callerIdNumber: '',
  calleeIdName: '',
  calleeIdNumber: '',
  sipFrom: '',
  sipTo: '',
  sipRequest: '',
  sipCallId: '',
  sampleRate: 8000,
  variables: {},
  ...known,
})
