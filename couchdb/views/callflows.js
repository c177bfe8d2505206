// Callflows of an account: the list as the API answers it, and which one owns a number or a pattern.
export default {
  classifications: ['account'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'callflow') return
        const modules = []
        const walk = function (node) {
          if (!node || typeof node !== 'object') return
          const skipped = node.data && node.data.skip_module
          if (node.module && !skipped && modules.indexOf(node.module) === -1) modules.push(node.module)
          Object.keys(node.children || {}).forEach(function (branch) {
            walk(node.children[branch])
          })
        }
        walk(doc.flow)
        emit(doc.name || '', {
          id: doc._id,
          name: doc.name,
          type: doc.type,
          numbers: doc.numbers || [],
          patterns: doc.patterns || [],
          featurecode: doc.featurecode || false,
          owner_id: doc.owner_id,
          group_id: doc.group_id,
          modules: modules,
          flags: doc.flags || [],
        })
      },
      reduce: '_count',
    },
    listing_by_number: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'callflow') return
        for (const number of doc.numbers || []) emit(number, { id: doc._id, name: doc.name })
      },
    },
    listing_by_pattern: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'callflow') return
        for (const pattern of doc.patterns || []) emit(pattern, { id: doc._id, name: doc.name })
      },
    },
  },
}
