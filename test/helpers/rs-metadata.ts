// Recording metadata held to the schema of RFC 7865.

import { readFileSync } from 'node:fs'
import { validateXML } from 'xmllint-wasm'
import { packagePath } from '../../src/root.ts'

const schema = (name: string) => ({ fileName: name, contents: readFileSync(packagePath(`test/fixtures/siprec/${name}`), 'utf8') })

/** What is wrong with each document; all are good when it is empty. */
export async function schemaFaults(...documents: readonly string[]): Promise<string[]> {
  const { errors } = await validateXML({
    xml: documents.map((contents, at) => ({ fileName: `${at}.xml`, contents })),
    schema: [schema('rfc7865.xsd')],
    preload: [schema('xml.xsd')],
  })
  return errors.map(({ rawMessage }) => rawMessage)
}
