// XML that text from outside cannot break out of, as a tag for template literals. Characters that XML 1.0
// has no way to write at all (§2.2) are dropped.

// oxlint-disable-next-line no-control-regex
const ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }

export const escaped = (text: string): string => text.replaceAll(ILLEGAL, '').replaceAll(/[&<>"']/g, one => ENTITIES[one] ?? '')

/** Every value is escaped, for content and attributes in quotes alike. */
export const xml = (parts: TemplateStringsArray, ...values: readonly string[]): string => parts.map((part, at) => part + escaped(values[at] ?? '')).join('')
