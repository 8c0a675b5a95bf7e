#!/usr/bin/env bash
# npm cloudevents 10.0.0 with kafkajs 2.2.4 (against the broker that PyPI confluent-kafka 2.16.1 brings for tests): Kafka.binary of an event with JSON data, and Kafka.toEvent of what a consumer gets.
# One would guess: what the SDK for JavaScript makes for Kafka, the Kafka client for JavaScript sends and reads back.
# True: the message's value is an object, not text or bytes, and the headers of absent attributes are undefined: kafkajs refuses either with a TypeError. Mended by hand it goes out, but kafkajs reads headers as Buffers, and Kafka.toEvent fails with a third TypeError. Whoever moves CloudEvents over Kafka in node converts both ways by hand.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts cloudevents@10.0.0 kafkajs@2.2.4 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check confluent-kafka==2.16.1
cat > run.mjs <<'JS'
import { CloudEvent, Kafka as Binding } from 'cloudevents';
import { Kafka, logLevel } from 'kafkajs';
process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1';
const kafka = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.NOTHING });
const [producer, consumer] = [kafka.producer(), kafka.consumer({ groupId: 'readers' })];
await Promise.all([producer.connect(), consumer.connect()]);
const { headers, value } = Binding.binary(new CloudEvent({ id: '1', source: '/shop', type: 'paid', datacontenttype: 'application/json', data: { paid: true } }));
const told = async call => { try { return await call(); } catch (error) { return error.constructor.name; } };
const send = messages => producer.send({ topic: 'orders', messages });
const asMade = await told(() => send([{ headers, value }]));
const asText = await told(() => send([{ headers, value: JSON.stringify(value) }]));
const set = Object.fromEntries(Object.entries(headers).filter(([, one]) => one !== undefined));
await send([{ headers: set, value: JSON.stringify(value) }]);
await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
const message = await new Promise(done => consumer.run({ eachMessage: async ({ message }) => done(message) }));
const read = await told(() => Binding.toEvent(message).id);
const byHand = await told(() => Binding.toEvent({ ...message, headers: Object.fromEntries(Object.entries(message.headers).map(([name, one]) => [name, String(one)])) }).id);
console.log(`cloudevents 10.0.0, kafkajs 2.2.4: sending Kafka.binary's message: ${asMade} (its value is an ${typeof value}); with the value made text: ${asText} (${Object.keys(headers).length - Object.keys(set).length} headers are undefined); Kafka.toEvent of what comes back: ${read}; with the headers made text: id ${byHand}`);
process.exit(asMade === 'TypeError' && asText === 'TypeError' && read === 'TypeError' && byHand === '1' ? 0 : 1);
JS
cat > run.py <<'PY'
import subprocess, sys
from confluent_kafka import Producer
broker = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
sys.exit(subprocess.run(["node", "run.mjs", "{0.host}:{0.port}".format(list(broker.list_topics(timeout=10).brokers.values())[0])], timeout=90).returncode)
PY
venv/bin/python run.py
