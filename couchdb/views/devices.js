// Devices of an account: the list as the API answers it, by owner, by hardware address, and by the name a phone registers with.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'device') return
        emit(doc.name || '', {
          id: doc._id,
          name: doc.name,
          username: doc.sip && doc.sip.username,
          mac_address: doc.mac_address,
          owner_id: doc.owner_id,
          enabled: doc.enabled !== false,
          device_type: doc.device_type,
          mobile: doc.mobile,
          call_recording: doc.call_recording,
          flags: doc.flags || [],
        })
      },
      reduce: '_count',
    },
    listing_by_owner: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'device' || !doc.owner_id) return
        emit(doc.owner_id, {
          id: doc._id,
          name: doc.name,
          username: doc.sip && doc.sip.username,
          mac_address: doc.mac_address,
          owner_id: doc.owner_id,
          enabled: doc.enabled !== false,
          device_type: doc.device_type,
          mobile: doc.mobile,
          call_recording: doc.call_recording,
          flags: doc.flags || [],
        })
      },
    },
    listing_by_mac: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'device' || typeof doc.mac_address !== 'string') return
        emit(doc.mac_address, { id: doc._id, name: doc.name })
      },
    },
    listing_by_username: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'device' || !doc.sip || !doc.sip.username) return
        emit(doc.sip.username.toLowerCase(), { id: doc._id, name: doc.name, enabled: doc.enabled !== false, owner_id: doc.owner_id })
      },
    },
  },
}
