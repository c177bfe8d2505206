// Trunks of an account: the list as the API answers it.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'resource') return
        emit(doc.name || '', { id: doc._id, name: doc.name, enabled: doc.enabled !== false, weight_cost: doc.weight_cost, flags: doc.flags || [] })
      },
      reduce: '_count',
    },
  },
}
