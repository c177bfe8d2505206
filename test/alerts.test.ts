import test from 'ava'
import { alertsYaml, rulesFor } from '../src/alerts.ts'
import { COUNTED, READ } from '../src/metrics.ts'

const rules = rulesFor(1024 ** 3)
const TABLES: Readonly<Record<string, { labels: readonly string[] }>> = { ...COUNTED, ...READ }

test('every metric and label that a rule names is one that the engine has', t => {
  for (const { alert, expr, summary } of rules) {
    const named = [...expr.matchAll(/callrec_\w+/g)].map(([name]) => name)
    t.true(named.length > 0, alert)
    for (const name of named) t.true(name in TABLES, `${alert}: ${name}`)
    const labels = [...expr.matchAll(/(\w+)=~?"/g), ...expr.matchAll(/by \((\w+)\)/g), ...summary.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label ?? '')
    for (const label of labels)
      t.true(
        named.some(name => TABLES[name]?.labels.includes(label)),
        `${alert}: ${label}`,
      )
  }
})

test('there is a rule for missing recordings, old deliveries, a full spool, a switch and a store that are down', t => {
  for (const name of ['recordings_total', 'delivery_oldest_seconds', 'spool_free_bytes', 'switch_state', 'store_up']) {
    t.true(
      rules.some(({ expr }) => expr.includes(`callrec_${name}`)),
      name,
    )
  }
})

test('a switch that every engine leaves to the others is told of, and one that an engine drives is not', t => {
  const { expr } = rules.find(({ alert }) => alert === 'CallrecSwitchUndriven')!
  t.is(expr, 'max by (switch) (callrec_switch_state{state="up"}) == 0 and max by (switch) (callrec_switch_state{state="standby"}) == 1')
})

test('a counter that begins at 0 is no increase', t => {
  const { expr } = rules.find(({ alert }) => alert === 'CallrecAudioDamaged')!
  t.true(expr.endsWith(' or (callrec_audio_damaged_total unless callrec_audio_damaged_total offset 1h) > 0'))
})

test('the spool is told of before recordings are refused', t => {
  t.is(rulesFor(5_000).find(({ alert }) => alert === 'CallrecSpoolNearlyFull')?.expr, 'callrec_spool_free_bytes < 10000')
})

test('the file has each rule once, and its texts in quotes', t => {
  const yaml = alertsYaml(rules)
  t.true(yaml.startsWith('groups:\n  - name: callrec\n    rules:\n      - alert: '))
  t.is([...yaml.matchAll(/- alert: (\w+)/g)].length, new Set(rules.map(({ alert }) => alert)).size)
  for (const line of yaml.split('\n').filter(line => /^ +(expr|summary|description): /.test(line))) {
    t.notThrows(() => JSON.parse(line.slice(line.indexOf(': ') + 2)) as unknown, line)
  }
})
