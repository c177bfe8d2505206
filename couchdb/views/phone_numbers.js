// Telephone numbers, in the `numbers` database: those of an account, in order.
export default {
  classifications: ['numbers'],
  views: {
    listing_by_account: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'number' || !doc.pvt_account_id) return
        emit([doc.pvt_account_id, doc._id], {
          assigned_to: doc.pvt_account_id,
          created: doc.pvt_created,
          updated: doc.pvt_modified,
          state: 'in_service',
          name: doc.name,
        })
      },
    },
  },
}
