// Temporal rules of an account: the list as the API answers it.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'temporal_rule') return
        emit(doc.name || '', { id: doc._id, name: doc.name, cycle: doc.cycle, enabled: doc.enabled, flags: doc.flags || [] })
      },
      reduce: '_count',
    },
  },
}
