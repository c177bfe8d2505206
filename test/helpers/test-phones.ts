// SIP phones for tests, inside the private FreeSWITCH itself: profile `loop` is a second user agent on its own port. Each
// phone is a gateway of it, so it registers with digest at the phones' port and is rung there like any other; calling as a
// phone is `originate sofia/gateway/{name}/{number} &playback(...)`. Callers should say 440 Hz: callees say 1000 Hz.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TestPhone {
  name: string
  realm: string
  password: string
  /** What it does when it is rung. */
  answers?: Callee
}

/** Numbers of the `loop` profile's dialplan: `sofia/loop/{callee}@127.0.0.1:{port}` reaches them directly too. */
export type Callee = 'tone1000' | 'tone440' | 'brief' | 'echo' | 'early' | 'ringing' | 'busy' | 'declined' | 'unavailable'

/** For `originate … &playback(…)`: what a calling phone says. */
export const TONE_440 = 'tone_stream://%(10000,0,440);loops=-1'

const CALLEES = `<include>
  <context name="test-callees">
    <extension name="tone1000">
      <condition field="destination_number" expression="^tone1000$">
        <action application="answer"/>
        <action application="playback" data="tone_stream://%(10000,0,1000);loops=-1"/>
      </condition>
    </extension>
    <extension name="tone440">
      <condition field="destination_number" expression="^tone440$">
        <action application="answer"/>
        <action application="playback" data="tone_stream://%(10000,0,440);loops=-1"/>
      </condition>
    </extension>
    <extension name="brief">
      <condition field="destination_number" expression="^brief$">
        <action application="answer"/>
        <action application="playback" data="tone_stream://%(2000,0,1000)"/>
        <action application="hangup"/>
      </condition>
    </extension>
    <extension name="carrier">
      <condition field="destination_number" expression="^\\+?[0-9]+$">
        <action application="answer"/>
        <action application="playback" data="tone_stream://%(10000,0,1000);loops=-1"/>
      </condition>
    </extension>
    <extension name="echo">
      <condition field="destination_number" expression="^echo$">
        <action application="answer"/>
        <action application="echo"/>
      </condition>
    </extension>
    <extension name="early">
      <condition field="destination_number" expression="^early$">
        <action application="pre_answer"/>
        <action application="playback" data="tone_stream://%(2000,0,300)"/>
        <action application="answer"/>
        <action application="playback" data="tone_stream://%(10000,0,1000);loops=-1"/>
      </condition>
    </extension>
    <extension name="ringing">
      <condition field="destination_number" expression="^ringing$">
        <action application="ring_ready"/>
        <action application="sleep" data="60000"/>
      </condition>
    </extension>
    <extension name="refusals">
      <condition field="destination_number" expression="^busy$" break="never"><action application="respond" data="486"/></condition>
      <condition field="destination_number" expression="^declined$" break="never"><action application="respond" data="603"/></condition>
      <condition field="destination_number" expression="^unavailable$"><action application="respond" data="480"/></condition>
    </extension>
  </context>
</include>
`

const gateway = (phone: TestPhone, sipPort: number): string => `      <gateway name="${phone.name}">
        <param name="username" value="${phone.name}"/>
        <param name="realm" value="${phone.realm}"/>
        <param name="from-domain" value="${phone.realm}"/>
        <param name="password" value="${phone.password}"/>
        <param name="proxy" value="${phone.realm}"/>
        <param name="register-proxy" value="127.0.0.1:${sipPort}"/>
        <param name="outbound-proxy" value="127.0.0.1:${sipPort}"/>
        <param name="register" value="true"/>
        <param name="expire-seconds" value="600"/>
        <param name="extension" value="${phone.answers ?? 'tone1000'}"/>
        <param name="context" value="test-callees"/>
      </gateway>`

export function testPhones(confDir: string, { loopPort, sipPort, phones }: { loopPort: number; sipPort: number; phones: readonly TestPhone[] }): void {
  const profile = `<include>
  <profile name="loop">
    <gateways>
${phones.map(phone => gateway(phone, sipPort)).join('\n')}
    </gateways>
    <settings>
      <param name="sip-ip" value="127.0.0.1"/>
      <param name="rtp-ip" value="127.0.0.1"/>
      <param name="sip-port" value="${loopPort}"/>
      <param name="context" value="test-callees"/>
      <param name="dialplan" value="XML"/>
      <param name="auth-calls" value="false"/>
      <param name="manage-presence" value="false"/>
      <param name="inbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="outbound-codec-prefs" value="PCMU,PCMA"/>
      <param name="inbound-late-negotiation" value="true"/>
      <!-- Without it what a phone plays waits for what it hears, and two phones wait for each other. -->
      <param name="rtp-timer-name" value="soft"/>
    </settings>
  </profile>
</include>
`
  writeFileSync(join(confDir, 'sip_profiles/loop.xml'), profile)
  mkdirSync(join(confDir, 'dialplan/local'), { recursive: true })
  writeFileSync(join(confDir, 'dialplan/local/callees.xml'), CALLEES)
}
