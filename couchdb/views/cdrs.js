// Call detail records of one month, oldest first: of all, and of the calls a user's phones made.
export default {
  classifications: ['modb'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'cdr') return
        emit([doc.pvt_created, doc._id], null)
      },
      reduce: '_count',
    },
    listing_by_owner: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'cdr' || !doc.owner_id) return
        emit([doc.owner_id, doc.pvt_created, doc._id], null)
      },
    },
  },
}
