// Calls of which applications are still to be told the end, by switch: whoever drives it as they end tells it.
export default {
  classifications: ['calls_in_progress'],
  views: {
    by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'voice_life') return
        emit(doc.node, null)
      },
    },
  },
}
