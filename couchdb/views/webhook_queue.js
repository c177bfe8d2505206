// Events that are still to be told, by webhook and recording, in the order in which they happened.
export default {
  classifications: ['webhook_queue'],
  views: {
    by_stream: {
      map: function (doc) {
        if (doc.pvt_deleted || !doc.webhook_id) return
        emit([doc.webhook_id, doc.recording_id, doc._id], null)
      },
      reduce: '_count',
    },
  },
}
