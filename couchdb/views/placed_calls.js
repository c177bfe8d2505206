// Calls that applications have made and that are neither answered nor over, by switch: whoever drives it next sees them through.
export default {
  classifications: ['calls_in_progress'],
  views: {
    by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'placed_call') return
        emit(doc.node, null)
      },
    },
  },
}
