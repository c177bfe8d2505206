// Voice applications of an account: the list as the API answers it.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'application') return
        emit(doc.name || '', { id: doc._id, name: doc.name, answer_url: doc.answer_url, event_url: doc.event_url })
      },
      reduce: '_count',
    },
  },
}
