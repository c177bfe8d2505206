// Auth tokens, for the sweep that removes those whose time is over.
export default {
  classifications: ['token_auth'],
  views: {
    by_expiry: {
      map: function (doc) {
        if (doc.pvt_deleted || typeof doc.expires_at !== 'number') return
        emit(doc.expires_at, { account_id: doc.account_id })
      },
    },
  },
}
