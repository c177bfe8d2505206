// Attempts to tell a webhook of something, oldest first.
export default {
  classifications: ['modb'],
  views: {
    by_webhook: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'webhook_attempt') return
        emit([doc.webhook_id, doc.pvt_created, doc._id], null)
      },
      reduce: '_count',
    },
  },
}
