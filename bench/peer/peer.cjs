// Runs aws-lambda-stream, through its public API, on the payloads in a directory, when
// a line of its input says so, and prints what that took: a line of JSON for each.
//
//     node peer.cjs DIRECTORY
//
// AWS_ENDPOINT_URL_DYNAMODB says where the stub server is.
const fs = require('fs');
const path = require('path');
const readline = require('readline');
const {
  initialize, initializeFrom, defaultOptions, collect, evaluate, fromKinesis, fromDynamodb, toPromise,
} = require('aws-lambda-stream');

const directory = process.argv[2];
const options = { ...defaultOptions, publish: () => (s) => s };

const listener = (event) => initialize(initializeFrom([
  { id: 'collect', flavor: collect, eventType: /^order-.+/ },
]), options).assemble(fromKinesis(event), true).through(toPromise);

let seen = 0;
const trigger = (event) => initialize(initializeFrom([{
  id: 'evaluate',
  flavor: evaluate,
  eventType: /^order-.+/,
  expression: (uow) => { seen += uow.correlated.length; return false; },
  emit: 'order-done',
}]), options).assemble(fromDynamodb(event), true).through(toPromise);

// Each line of the input names a step of the plan.
(async () => {
  const plan = JSON.parse(fs.readFileSync(path.join(directory, 'plan.json')));
  console.log(JSON.stringify({ node: process.version }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { step: index, warm } = JSON.parse(line);
    const step = plan[index];
    const payloads = step.payloads.map((file) => fs.readFileSync(path.join(directory, file), 'utf8'));
    const handle = step.kind === 'listener' ? listener : trigger;
    process.env.EVENT_TABLE_NAME = step.table;
    seen = 0;
    const cpu = process.cpuUsage();
    const began = process.hrtime.bigint();
    if (warm) {
      for (let i = 0; i < step.warm; i++) await handle(JSON.parse(payloads[0])); // what the runtime does
    } else {
      for (let i = 0; i < step.repeat; i++) {
        for (const payload of payloads) await handle(JSON.parse(payload));
      }
    }
    const used = process.cpuUsage(cpu);
    console.log(JSON.stringify({ cpu_ns: (used.user + used.system) * 1000, wall_ns: Number(process.hrtime.bigint() - began), seen }));
  }
})().catch((err) => { console.error(err); process.exit(1); });
