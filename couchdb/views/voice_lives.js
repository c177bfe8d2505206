// Calls that applications run, by switch: whom the end is still to be told, and how far they are in their actions.
export default {
  classifications: ['calls_in_progress'],
  views: {
    by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'voice_life') return
        emit(doc.node, null)
      },
    },
    places_by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'voice_place') return
        emit(doc.node, doc.leg)
      },
    },
  },
}
