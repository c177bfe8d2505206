// Where an account keeps its files: its `storage` document names places (`attachments`) and which of them
// recordings go to (`plan`), as in Kazoo. A recording's own `url` comes first. Secrets are apart from what
// the API shows.

import type { Doc } from '../store/store.ts'
import { type Recording, STORE } from './document.ts'
import type { Effective } from './settings.ts'

/** Id of the document in the account's database. */
export const STORAGE = 'storage'

export interface HttpSettings {
  url: string
  verb?: 'put' | 'post'
}
export interface S3Settings {
  bucket: string
  key: string
  secret?: string
  /** Without one it is Amazon's. */
  host?: string
  scheme?: 'http' | 'https'
  port?: number
  region?: string
}
export interface DirectorySettings {
  /** A name of DELIVERY_DIRECTORIES. */
  directory: string
}

export type Attachment = { name?: string } & (
  | { handler: 'http'; settings: HttpSettings }
  | { handler: 's3'; settings: S3Settings }
  | { handler: 'directory'; settings: DirectorySettings }
)

export interface StorageDocument extends Doc {
  pvt_type: 'storage'
  pvt_deleted?: boolean
  attachments?: Readonly<Record<string, Attachment>>
  plan?: { modb?: { types?: { call_recording?: { attachments?: { handler?: string; params?: { folder_path?: string } } } } } }
  /** By attachment: settings that are written and never read. */
  pvt_secrets?: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export type Target =
  | { is: 'store' }
  | { is: 'http'; url: string; method: 'PUT' | 'POST' }
  | { is: 's3'; settings: S3Settings; folder: string }
  | { is: 'directory'; directory: string; folder: string }
  | { is: 'nowhere'; reason: string }

/** As a `url`: the store, wherever the account's plan has recordings go. */
export const IN_STORE = 'store:'

/** Does where a recording goes depend on the account's storage? */
export const needsStorage = ({ url }: Effective): boolean => url === undefined || isS3(url.value)

const isS3 = (url: string): boolean => url.startsWith('s3://')

export function targetOf(settings: Effective, storage: StorageDocument | undefined): Target {
  const url = settings.url?.value
  const there = storage?.pvt_deleted === true ? undefined : storage
  if (url === undefined) return planned(there)
  if (url === IN_STORE) return { is: 'store' }
  if (!isS3(url)) return { is: 'http', url, method: settings.method?.value === 'post' ? 'POST' : 'PUT' }
  const [bucket = '', ...folders] = url.slice('s3://'.length).split('/')
  const found = Object.keys(there?.attachments ?? {})
    .map(id => attachmentOf(there, id))
    .find(one => one?.handler === 's3' && one.settings.bucket === bucket)
  if (found?.handler !== 's3') return { is: 'nowhere', reason: `the storage settings of the account name no bucket ${bucket}` }
  return { is: 's3', settings: found.settings, folder: folderOf(folders.join('/')) }
}

function planned(storage: StorageDocument | undefined): Target {
  const { handler, params } = storage?.plan?.modb?.types?.call_recording?.attachments ?? {}
  if (handler === undefined) return { is: 'store' }
  const attachment = attachmentOf(storage, handler)
  if (attachment === undefined) return { is: 'nowhere', reason: `the plan of the account's storage names attachment ${handler}, which is not there` }
  return targetAt(attachment, params?.folder_path)
}

export function targetAt(attachment: Attachment, folderPath = ''): Target {
  const folder = folderOf(folderPath)
  switch (attachment.handler) {
    case 'http':
      return { is: 'http', url: attachment.settings.url, method: attachment.settings.verb === 'post' ? 'POST' : 'PUT' }
    case 's3':
      return { is: 's3', settings: attachment.settings, folder }
    case 'directory':
      return { is: 'directory', directory: attachment.settings.directory, folder }
  }
}

/** With its secrets. */
function attachmentOf(storage: StorageDocument | undefined, id: string): Attachment | undefined {
  const { attachments = {}, pvt_secrets: secrets = {} } = storage ?? {}
  const attachment = Object.hasOwn(attachments, id) ? attachments[id] : undefined
  return attachment === undefined ? undefined : withSecrets(attachment, Object.hasOwn(secrets, id) ? secrets[id] : undefined)
}

export const withSecrets = (attachment: Attachment, secrets: Readonly<Record<string, string>> = {}): Attachment =>
  ({ ...attachment, settings: { ...attachment.settings, ...secrets } }) as Attachment

/** Segments that are no way up or out; each of the rest is a name on a disk and in a URL. */
const folderOf = (path: string): string =>
  path
    .split('/')
    .map(part => part.replaceAll(/[^A-Za-z0-9._-]/g, '_'))
    .filter(part => !/^\.*$/.test(part))
    .join('/')

/** What a document may say of a destination: neither user part nor query. */
export function destinationOf(url: string | undefined): string {
  if (url === undefined || url === IN_STORE) return STORE
  if (!URL.canParse(url)) return 'not a URL'
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** As it stands in documents, and decides whose turn it is; undefined where it leads nowhere. */
export function nameOf(target: Target): string | undefined {
  switch (target.is) {
    case 'store':
      return STORE
    case 'http':
      return destinationOf(target.url)
    case 's3':
      return `s3://${[target.settings.bucket, target.folder].filter(part => part !== '').join('/')}`
    case 'directory':
      return `directory://${[target.directory, target.folder].filter(part => part !== '').join('/')}`
    case 'nowhere':
      return undefined
  }
}

/** Below a folder of a bucket or directory; what a leg is called is not always good for a name. */
export const fileName = ({ name }: Pick<Recording, 'name'>): string => name.replaceAll(/[^A-Za-z0-9._-]/g, '_')
