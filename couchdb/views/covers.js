// Calls that are masked or paused now, by switch: what an engine must know before it records there.
export default {
  classifications: ['calls_in_progress'],
  views: {
    by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'cover') return
        emit(doc.node, null)
      },
    },
  },
}
