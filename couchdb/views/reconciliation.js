// What came of the recordings of a day (UTC), by what each of them counts as; one recording counts as several things.
export default {
  classifications: ['modb'],
  views: {
    by_day: {
      map: function (doc) {
        if (doc.pvt_deleted || doc.pvt_type !== 'call_recording' || !doc.pvt_created) return
        const day = new Date((doc.pvt_created - 62167219200) * 1000).toISOString().slice(0, 10)
        const delivery = doc.delivery ? doc.delivery.state : ''
        const lists = ['expected']
        if (doc.state === 'stopped') lists.push('recorded')
        else if (doc.state === 'discarded') lists.push('discarded')
        else if (doc.state === 'failed') lists.push('missing')
        else lists.push('running')
        // Recording servers have theirs when it ends.
        if (delivery === 'stored' || (doc.kind === 'siprec' && doc.state === 'stopped')) lists.push('delivered')
        else if (delivery === 'failed') lists.push('undelivered')
        else if (doc.state === 'stopped') lists.push('waiting')
        for (const list of lists) emit([day, list, doc.pvt_created, doc._id], null)
      },
      reduce: '_count',
    },
  },
}
