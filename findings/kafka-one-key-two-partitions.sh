#!/usr/bin/env bash
# PyPI confluent-kafka 2.16.1 and aiokafka 0.14.0, npm kafkajs 2.2.4 (against the broker that confluent-kafka's librdkafka brings for tests; clients choose the partition).
# One would guess: the same key in the same topic goes to the same partition, whichever client sends it: that is what keys are for.
# True: confluent-kafka, as all of librdkafka, hashes by CRC-32, aiokafka and kafkajs by murmur2, as Java does: most keys go to different partitions. Where a second service in another language writes to a topic, or a rewrite replaces the first, the order of a key's events is lost and joins miss; partitioner=murmur2_random makes them agree.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts kafkajs@2.2.4 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check confluent-kafka==2.16.1 aiokafka==0.14.0
cat > send.mjs <<'JS'
import { Kafka, logLevel, Partitioners } from 'kafkajs';
const producer = new Kafka({ brokers: [process.argv[2]], logLevel: logLevel.ERROR }).producer({ createPartitioner: Partitioners.DefaultPartitioner });
await producer.connect();
const partitions = [];
for (const key of process.argv.slice(3)) partitions.push((await producer.send({ topic: 'orders', messages: [{ key, value: '' }] }))[0].partition);
await producer.disconnect();
console.log(JSON.stringify(partitions));
JS
cat > run.py <<'PY'
import asyncio, json, subprocess, sys
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
broker = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0})
address = "{0.host}:{0.port}".format(list(broker.list_topics(timeout=10).brokers.values())[0])
keys = [f"order-{number}" for number in range(8)]
def by_confluent(**settings):
    producer, partitions = Producer({"bootstrap.servers": address, "log_level": 0, **settings}), {}
    for key in keys:
        producer.produce("orders", b"", key, callback=lambda error, message: partitions.update({message.key().decode(): message.partition()}))
    producer.flush(20)
    return [partitions[key] for key in keys]
async def by_aiokafka():
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        return [(await producer.send_and_wait("orders", b"", key.encode())).partition for key in keys]
confluent, murmur = by_confluent(), by_confluent(partitioner="murmur2_random")
aiokafka = asyncio.run(by_aiokafka())
kafkajs = json.loads(subprocess.run(["node", "send.mjs", address, *keys], capture_output=True, check=True, timeout=60).stdout)
print(f"order-0 … order-7: confluent-kafka 2.16.1 {confluent}; aiokafka 0.14.0 {aiokafka}; kafkajs 2.2.4 {kafkajs}; confluent-kafka with murmur2_random {murmur}")
sys.exit(0 if confluent != aiokafka == kafkajs == murmur else 1)
PY
venv/bin/python run.py
