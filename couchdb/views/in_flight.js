// The queue of recordings that are not done: what a switch's owner must look after, and what is to be delivered when.
export default {
  classifications: ['recordings_in_flight'],
  views: {
    by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || !doc.node) return
        emit([doc.node, doc.state], { account_id: doc.account_id, leg: doc.leg })
      },
    },
    bytes_by_account: {
      map: function (doc) {
        if (doc.pvt_deleted || !doc.delivery || !doc.size) return
        emit(doc.account_id, doc.size)
      },
      reduce: '_sum',
    },
    waiting_since: {
      map: function (doc) {
        const delivery = doc.delivery
        if (doc.pvt_deleted || !delivery || (delivery.state !== 'due' && delivery.state !== 'uploading')) return
        emit(delivery.since || delivery.next_at, null)
      },
    },
    // Of recordings whose file is stored: what was said is to be made text, or told of.
    transcripts: {
      map: function (doc) {
        if (doc.pvt_deleted || !doc.transcript) return
        emit(doc.transcript.next_at, null)
      },
      reduce: '_count',
    },
    siprec_by_node: {
      map: function (doc) {
        if (doc.pvt_deleted || !doc.siprec_node) return
        emit(doc.siprec_node, null)
      },
    },
    due: {
      map: function (doc) {
        const delivery = doc.delivery
        if (doc.pvt_deleted || !delivery || (delivery.state !== 'due' && delivery.state !== 'uploading')) return
        const host = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i.exec(delivery.destination || '')
        emit(delivery.next_at, { node: doc.node, host: host ? host[1].toLowerCase() : delivery.destination })
      },
      reduce: '_count',
    },
  },
}
