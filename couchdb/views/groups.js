// Groups of an account: the list as the API answers it.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'group') return
        emit(doc.name || '', { id: doc._id, name: doc.name, endpoints: Object.keys(doc.endpoints || {}).length, flags: doc.flags || [] })
      },
      reduce: '_count',
    },
  },
}
