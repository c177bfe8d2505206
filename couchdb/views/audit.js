// Who did what with each recording of a month, in the order it was told.
export default {
  classifications: ['modb'],
  views: {
    by_recording: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'recording_audit') return
        emit([doc.recording_id, doc.seq], null)
      },
    },
  },
}
