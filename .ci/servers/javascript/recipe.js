// A micro event store as the JavaScript Cloud Native Development Cookbook has it
// (the recipe "Creating a micro event store"), on the DocumentClient of the AWS SDK
// for JavaScript.
//
//     node recipe.js listener TABLE < events.json     saves events
//     node recipe.js trigger TABLE < stream.json      reads the events under the key
//                                                     of each record of the stream
'use strict'

const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')
const { DynamoDBDocumentClient, PutCommand, QueryCommand } = require('@aws-sdk/lib-dynamodb')
const { main } = require('./main')

const client = DynamoDBDocumentClient.from(new DynamoDBClient({}))

const listener = async (TableName, events) => {
  for (const event of events) {
    await client.send(new PutCommand({
      TableName,
      Item: { partitionKey: event.partitionKey, eventId: event.id, event }
    }))
  }
  return events.length
}

const trigger = async (TableName, { Records }) => {
  const stores = []
  for (const record of Records) {
    const { Items } = await client.send(new QueryCommand({
      TableName,
      KeyConditionExpression: '#partitionKey = :partitionKey',
      ExpressionAttributeNames: { '#partitionKey': 'partitionKey' },
      ExpressionAttributeValues: { ':partitionKey': record.dynamodb.Keys.partitionKey.S }
    }))
    stores.push(Items.map((item) => item.event))
  }
  return stores
}

main({ listener, trigger })
