// Recordings of one month, oldest first: of all, of a user, of a device, of a call. The API lists whole documents, so nothing is
// emitted beside the key; a copy of each document in every index would be written at every change of its state.
export default {
  classifications: ['modb'],
  views: {
    crossbar_listing: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording') return
        emit([doc.pvt_created, doc._id], null)
      },
      reduce: '_count',
    },
    listing_by_user: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || !doc.owner_id) return
        emit([doc.owner_id, doc.pvt_created, doc._id], null)
      },
    },
    listing_by_device: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || !doc.endpoint_id) return
        emit([doc.endpoint_id, doc.pvt_created, doc._id], null)
      },
    },
    held: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || doc.legal_hold !== true) return
        emit(doc.owner_id || null, null)
      },
      reduce: '_count',
    },
    expiring: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || doc.legal_hold === true || !doc.retain_until) return
        if (doc.state === 'stopped' || doc.state === 'discarded' || doc.state === 'failed') emit(doc.retain_until, null)
      },
    },
    // By switch, what the queue has to know of; a delivery that was given up waits for nobody.
    unfinished: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || doc.kind === 'siprec' || !doc.pvt_node) return
        if (doc.state === 'discarded' || doc.state === 'failed') return
        if (doc.delivery && (doc.delivery.state === 'stored' || doc.delivery.state === 'failed')) return
        emit(doc.pvt_node, null)
      },
    },
    listing_by_cdr: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || !doc.cdr_id) return
        emit(doc.cdr_id, null)
      },
    },
    listing_by_file: {
      map: function (doc) {
        // Tombstones too: who asks is told that it is gone.
        if (doc.pvt_type !== 'call_recording' || !doc.pvt_voice) return
        emit(doc.pvt_voice.file_uuid, null)
        if (doc.pvt_voice.transcript) emit(doc.pvt_voice.transcript.file_uuid, null)
      },
    },
    listing_by_call: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || doc.kind === 'siprec' || !doc.call_id) return
        emit([doc.call_id, doc.pvt_created], null)
      },
      reduce: '_count',
    },
  },
}
