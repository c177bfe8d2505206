// Which events one client gets: names it asked for, in one format, thinned out by filters. A filter lets through what
// matches any of them; one that starts with `-` holds back.

import { EVENT_NAMES, type Format, type SwitchEvent } from './event.ts'

export interface Subscription {
  readonly format: Format
  wants(name: string): boolean
  passes(event: SwitchEvent): boolean
  /** Each takes the words after the command and answers with the Reply-Text. */
  event(words: string): string
  nixevent(words: string): string
  noevents(): string
  myevents(words: string): string
  filter(words: string): string
}

const MY_EVENTS = `CHANNEL_ANSWER CHANNEL_BRIDGE CHANNEL_CREATE CHANNEL_DESTROY CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP
CHANNEL_HANGUP_COMPLETE CHANNEL_ORIGINATE CHANNEL_OUTGOING CHANNEL_PARK CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_STATE CHANNEL_UNBRIDGE
CHANNEL_UNPARK DTMF`.split(/\s+/)

export function createSubscription(): Subscription {
  const names = new Set<string>()
  let all = false
  let format: Format = 'plain'
  let listening = false
  let filters: { header: string; value: string }[] = []

  return {
    get format() {
      return format
    },
    wants: name => listening && (all || names.has(name)),
    passes(event) {
      let passed = filters.length === 0
      for (const { header, value } of filters) {
        const found = event.header(header)
        const [, sign, wanted = ''] = /^([+-]?) *(.*)$/s.exec(value) ?? []
        if (found?.toLowerCase() !== wanted.toLowerCase()) continue
        if (sign === '-') return false
        passed = true
      }
      return passed
    },
    event(text) {
      const words = text.split(' ').filter(word => word !== '')
      const chosen = words[0]?.toLowerCase()
      let known = 0
      if (chosen === 'plain' || chosen === 'json' || chosen === 'xml') {
        format = chosen
        words.shift()
      } else format = 'plain'
      for (const word of words) {
        const name = word.toUpperCase()
        if (!EVENT_NAMES.has(name)) continue
        known++
        if (name === 'ALL') all = true
        else names.add(name)
        // The words behind CUSTOM are subclasses.
        if (name === 'CUSTOM') break
      }
      if (known === 0) return '-ERR no keywords supplied'
      listening = true
      return `+OK event listener enabled ${format}`
    },
    nixevent(text) {
      let known = 0
      for (const name of text.toUpperCase().split(' ')) {
        if (!EVENT_NAMES.has(name)) continue
        known++
        if (name === 'ALL') names.clear()
        // `ALL` minus one: what remains is spelt out.
        if (all) for (const one of EVENT_NAMES) names.add(one)
        all = false
        names.delete(name)
      }
      return known === 0 ? '-ERR no keywords supplied' : '+OK events nixed'
    },
    noevents() {
      if (!listening) return '-ERR not listening for events'
      listening = all = false
      names.clear()
      return '+OK no longer listening for events'
    },
    myevents(text) {
      const [uuid = '', wish = ''] = text.split(' ')
      if (wish === 'json' || wish === 'xml') format = wish
      for (const name of MY_EVENTS) names.add(name)
      filters.push({ header: 'Unique-ID', value: uuid })
      listening = true
      return '+OK Events Enabled'
    },
    filter(text) {
      const [first = '', ...rest] = text.trim().split(' ')
      const deletes = first.toLowerCase() === 'delete' && rest.length > 0
      const [header = '', ...value] = deletes || (first.toLowerCase() === 'add' && rest.length > 1) ? rest : [first, ...rest]
      const wanted = value.join(' ')
      if (deletes) {
        const same = (one: { header: string; value: string }): boolean =>
          one.header.toLowerCase() === header.toLowerCase() && (wanted === '' || one.value === wanted)
        filters = header.toLowerCase() === 'all' ? [] : filters.filter(one => !same(one))
        return `+OK filter deleted. [${header}][${wanted}]`
      }
      if (wanted === '') return '-ERR invalid syntax'
      filters.push({ header, value: wanted })
      return `+OK filter added. [${header}]=[${wanted}]`
    },
  }
}
