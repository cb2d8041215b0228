// What the programs here have in common: a command, a table, JSON in and JSON out.
'use strict'

const { readFileSync } = require('fs')

exports.main = (commands) => {
  const [command, table] = process.argv.slice(2)
  commands[command](table, JSON.parse(readFileSync(0, 'utf8')))
    .then((result) => process.stdout.write(JSON.stringify(result)))
    .catch((err) => {
      console.error(err)
      process.exit(1)
    })
}
