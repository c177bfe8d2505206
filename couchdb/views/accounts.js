// Accounts, in the `accounts` database: found by name, realm or the sha256 of the API key, and listed below a parent or any ancestor.
export default {
  classifications: ['accounts'],
  views: {
    listing_by_name: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'account') return
        emit(doc.pvt_alphanum_name, { id: doc._id, name: doc.name, realm: doc.realm })
      },
    },
    listing_by_realm: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'account' || !doc.realm) return
        emit(doc.realm.toLowerCase(), { id: doc._id, name: doc.name, realm: doc.realm })
      },
    },
    listing_by_descendants: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'account') return
        for (const ancestor of doc.pvt_tree || []) emit([ancestor, doc.name], { id: doc._id, name: doc.name, realm: doc.realm, flags: doc.flags || [] })
      },
      reduce: '_count',
    },
    listing_by_children: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'account' || !doc.pvt_tree || !doc.pvt_tree.length) return
        emit([doc.pvt_tree[doc.pvt_tree.length - 1], doc.name], { id: doc._id, name: doc.name, realm: doc.realm, flags: doc.flags || [] })
      },
    },
    listing_by_api_key: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'account' || !doc.pvt_api_key_digest) return
        emit(doc.pvt_api_key_digest, { id: doc._id, name: doc.name, realm: doc.realm })
      },
    },
  },
}
