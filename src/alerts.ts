// Rules for Prometheus (`callrec alerts`), about what loses recordings if nobody looks. A test holds their
// metrics to those that the engine has.

export interface Rule {
  alert: string
  expr: string
  /** How long it has to hold. */
  for: string
  severity: 'page' | 'ticket'
  summary: string
  /** What to do. */
  description: string
}

/** A counter's first sample is an increase as well, which Prometheus's own `increase` does not see. */
const grew = (counter: string, window: string): string => `increase(${counter}[${window}]) > 0 or (${counter} unless ${counter} offset ${window}) > 0`

/** `minFree` is SPOOL_MIN_FREE in bytes. */
export const rulesFor = (minFree: number): readonly Rule[] => [
  {
    alert: 'CallrecRecordingsMissing',
    expr: grew('callrec_recordings_total{outcome="failed"}', '15m'),
    for: '0m',
    severity: 'page',
    summary: 'recordings that policy wanted did not come to be ({{ $labels.reason }})',
    description: 'Which ones: GET /v2/accounts/{A}/recordings/reconciliation?day=…&list=missing',
  },
  {
    alert: 'CallrecDeliveryOld',
    expr: 'callrec_delivery_oldest_seconds > 4 * 3600',
    for: '10m',
    severity: 'ticket',
    summary: 'a file has waited for its destination for more than four hours',
    description: 'The recording document has delivery.last_error; after 72 h it is given up and stays in the spool.',
  },
  {
    alert: 'CallrecDeliveriesFailed',
    expr: grew('callrec_deliveries_total{outcome="failed"}', '1h'),
    for: '0m',
    severity: 'ticket',
    summary: 'files were given up by delivery and stay in the spool',
    description: 'Mend the destination, then: callrec retry --from … --to …',
  },
  {
    alert: 'CallrecSpoolNearlyFull',
    expr: `callrec_spool_free_bytes < ${2 * minFree}`,
    for: '5m',
    severity: 'page',
    summary: 'the disk of the spool has less than twice SPOOL_MIN_FREE left',
    description: 'Below SPOOL_MIN_FREE no recording starts. Make room, or find out why files are not delivered.',
  },
  {
    alert: 'CallrecUnforeseen',
    expr: grew('callrec_unforeseen_total', '15m'),
    for: '0m',
    severity: 'ticket',
    summary: 'something failed in a way that nobody foresaw ({{ $labels.kind }})',
    description: 'A fault of callrec: unforeseen_failure in the log has the stack. What it was doing is not done; everything else goes on.',
  },
  {
    alert: 'CallrecOrphans',
    expr: 'sum by (kind) (callrec_orphans) > 0',
    for: '0m',
    severity: 'ticket',
    summary: 'files or documents of recordings that callrec cannot bring together ({{ $labels.kind }})',
    description: 'Which ones: callrec doctor, or orphan_file_found and orphan_not_adopted in the log. Nothing of it is removed.',
  },
  {
    alert: 'CallrecSwitchDown',
    expr: 'max by (switch) (callrec_switch_state{state=~"up|standby"}) == 0',
    for: '1m',
    severity: 'page',
    summary: 'no engine has a connection to {{ $labels.switch }}',
    description: 'Calls there are not recorded until it is back; /readyz tells why.',
  },
  {
    alert: 'CallrecSwitchUndriven',
    expr: 'max by (switch) (callrec_switch_state{state="up"}) == 0 and max by (switch) (callrec_switch_state{state="standby"}) == 1',
    for: '1m',
    severity: 'page',
    summary: 'engines are connected to {{ $labels.switch }}, and none of them drives it',
    description: 'Calls there are not recorded. /readyz of each says why; mostly its RECORDING_DIR is not where that switch records.',
  },
  {
    alert: 'CallrecStoreDown',
    expr: 'callrec_store_up == 0',
    for: '1m',
    severity: 'page',
    summary: 'the document store does not answer',
    description: 'Look at CouchDB and at COUCHDB_URL.',
  },
  {
    alert: 'CallrecAudioDamaged',
    expr: grew('callrec_audio_damaged_total', '1h'),
    for: '0m',
    severity: 'page',
    summary: 'audio in the store is not what was stored',
    description: 'Which ones: callrec verify --from … --to …; put them back from a backup.',
  },
  {
    alert: 'CallrecGone',
    expr: 'absent(callrec_store_up)',
    for: '2m',
    severity: 'page',
    summary: 'no engine is scraped',
    description: 'Calls and recordings go on at the switches; start it again.',
  },
]

/** As Prometheus reads it from a file of `rule_files`. */
export function alertsYaml(rules: readonly Rule[]): string {
  const lines = rules.map(({ alert, expr, for: held, severity, summary, description }) => [
    `      - alert: ${alert}`,
    `        expr: ${quoted(expr)}`,
    `        for: ${held}`,
    `        labels: { severity: ${severity} }`,
    '        annotations:',
    `          summary: ${quoted(summary)}`,
    `          description: ${quoted(description)}`,
  ])
  return ['groups:', '  - name: callrec', '    rules:', ...lines.flat()].join('\n')
}

/** YAML takes JSON's strings. */
const quoted = (text: string): string => JSON.stringify(text)
