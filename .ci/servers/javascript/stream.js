// A service that is written with the npm package aws-lambda-stream: its listener
// collects events, its trigger correlates them by a second key and evaluates both
// kinds.
//
//     node stream.js listener TABLE < kinesis.json    a Kinesis event of Lambda
//     node stream.js trigger TABLE < stream.json      a DynamoDB event of Lambda
//
// It prints the events that were published: higher-order events and faults.
'use strict'

process.env.DYNAMODB_TIMEOUT = '20000' // more than its one second: the machine may be busy

const { initialize, initializeFrom } = require('aws-lambda-stream/pipelines')
const { fromKinesis } = require('aws-lambda-stream/from/kinesis')
const { fromDynamodb } = require('aws-lambda-stream/from/dynamodb')
const { collect } = require('aws-lambda-stream/flavors/collect')
const { correlate } = require('aws-lambda-stream/flavors/correlate')
const { evaluate } = require('aws-lambda-stream/flavors/evaluate')
const { expired } = require('aws-lambda-stream/flavors/expired')
const { main } = require('./main')

const run = async (from, tableName, event, rules, more) => {
  const published = []
  const publish = ({ eventField = 'event' }) => (s) => s.tap((uow) => published.push(uow[eventField]))
  const opt = { tableName, publish }
  await initialize({ ...initializeFrom(rules), ...more }, opt)
    .assemble(from(event))
    .collect()
    .toPromise(Promise)
  return published
}

const listener = (table, event) => run(fromKinesis, table, event, [
  { id: 'collect', flavor: collect, eventType: /^thing-/, ttl: 3650, expire: true }
])

const ids = (events) => events.map((e) => e.id).sort()

// The events that were read are in the higher-order event, so that one sees them.
const emit = (uow, rule, template) => ({
  ...template, type: rule.id, read: ids(uow.correlated), fired: uow.event
})

const trigger = (table, event) => run(fromDynamodb, table, event, [
  { id: 'correlate', flavor: correlate, eventType: /^thing-/, correlationKey: 'tags.group', correlationKeySuffix: 'grouped' },
  { id: 'collected', flavor: evaluate, eventType: /^thing-/, expression: () => true, emit },
  { id: 'correlated', flavor: evaluate, eventType: /^thing-/, correlationKeySuffix: 'grouped', expression: () => true, emit }
], { expired: (opt) => expired(opt) })

main({ listener, trigger })
