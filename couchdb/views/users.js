// Users of an account: the list as the API answers it, and who may log in under a name or a hint.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'user') return
        const on = function (feature) {
          return doc[feature] && doc[feature].enabled !== false
        }
        emit([doc.last_name || '', doc.first_name || ''], {
          id: doc._id,
          features: ['call_forward', 'caller_id', 'call_recording', 'music_on_hold', 'record_call'].filter(on),
          username: doc.username,
          email: doc.email,
          first_name: doc.first_name,
          last_name: doc.last_name,
          priv_level: doc.priv_level,
          feature_level: doc.feature_level,
          presence_id: doc.presence_id,
          timezone: doc.timezone,
          call_recording: doc.call_recording,
          service: doc.service,
          flags: doc.flags || [],
        })
      },
      reduce: '_count',
    },
    listing_by_username: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'user' || !doc.username) return
        emit(doc.username.toLowerCase(), { id: doc._id, username: doc.username, enabled: doc.enabled !== false })
      },
    },
    listing_by_hint: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'user') return
        for (const hint of doc.pvt_auth_hints || []) emit(hint, { id: doc._id, username: doc.username, enabled: doc.enabled !== false })
      },
    },
  },
}
