// Starts dynalite on 127.0.0.1 at the port given, with tables that are there at
// once. Its own command ends, with all that it holds, when a client hangs up in the
// middle of a request: it throws the request's error where nothing catches it.
'use strict'

const quiet = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'])

process.on('uncaughtException', (err) => {
  if (quiet.has(err.code)) return
  console.error(err)
  process.exit(1)
})

require('dynalite')({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
  .listen(Number(process.argv[2]), '127.0.0.1')
