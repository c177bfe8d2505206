// Webhooks of an account: the list as the API answers it.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'webhook') return
        emit(doc.name || '', { id: doc._id, name: doc.name, hook: doc.hook, uri: doc.uri, http_verb: doc.http_verb, enabled: doc.enabled !== false })
      },
      reduce: '_count',
    },
  },
}
