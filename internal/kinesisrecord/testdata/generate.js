// Makes npm.json: what the real producers' libraries make of known events.
//
//     npm install --no-save --ignore-scripts --legacy-peer-deps \
//         aws-kinesis-agg@4.2.8 aws-lambda-stream@1.0.0 object-sizeof@2 @babel/runtime@7
//     node generate.js
//
// aws-kinesis-agg is Apache-2.0 and aws-lambda-stream MIT; npm.json holds nothing
// of either but what they compute. Its events are made here.
const fs = require('fs');
const agg = require('aws-kinesis-agg');
const { compress } = require('aws-lambda-stream/utils/compression');

const event = (i, more) => ({
	id: `id-${i}`, type: 'thing-created', timestamp: 1700000000000 + i, partitionKey: `thing-${i % 3}`, ...more,
});

const aggregates = {
	one: [{ partitionKey: 'a', data: JSON.stringify(event(0)) }],
	'several keys': Array.from({ length: 10 }, (_, i) => ({ partitionKey: `key-${i % 4}`, data: JSON.stringify(event(i)) })),
	'explicit hash keys': Array.from({ length: 6 }, (_, i) => ({
		partitionKey: `key-${i % 2}`,
		...(i % 3 ? { explicitHashKey: i % 3 === 1 ? '0' : '340282366920938463463374607431768211455' } : {}),
		data: JSON.stringify(event(i)),
	})),
	'not ASCII': [{ partitionKey: 'Schlüssel 🔑', data: JSON.stringify(event(0, { text: 'grüße 🌍' })) }],
	many: Array.from({ length: 150 }, (_, i) => ({ partitionKey: `key-${i}`, data: JSON.stringify(event(i, { text: 'x'.repeat(i % 20) })) })),
};

const out = { aggregates: [], compressed: [] };
for (const [name, records] of Object.entries(aggregates)) {
	const input = records.map((r) => ({ ...r }));
	agg.aggregate(input.map((r) => ({ ...r })), (encoded, next) => {
		out.aggregates.push({ name, records: input, data: Buffer.from(encoded.Data || encoded.data).toString('base64') });
		if (next) next();
	}, () => {}, (err) => { if (err) throw err; });
}

const big = 'abc '.repeat(50);
const options = { compressionThreshold: 100, compressionIgnore: ['id', 'type', 'partitionKey', 'tags'] };
for (const e of [
	event(0),
	event(1, { text: big }),
	event(2, { thing: { name: 'n', list: Array.from({ length: 30 }, (_, i) => ({ i, text: `"quoted" \\ ${i} 🌍` })) } }),
	event(3, { tags: { region: 'us-west-2' }, nested: { small: 1, big }, other: big }),
]) {
	out.compressed.push({ event: JSON.stringify(e), data: JSON.stringify(e, compress(options)) });
}
process.on('exit', () => fs.writeFileSync('npm.json', JSON.stringify(out, null, 1) + '\n'));
