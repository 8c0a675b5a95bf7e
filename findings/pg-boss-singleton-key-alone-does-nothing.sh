#!/usr/bin/env bash
# npm pg-boss 12.38.0 (on the PostgreSQL of @electric-sql/pglite 0.5.14): send with singletonKey on a queue as createQueue makes it.
# One would guess: the key makes the job single: a second send with it is refused or gives null while the first waits.
# True: both are queued, get ids of their own and are fetched together; the key counts only together with singletonSeconds or on a queue with a policy such as exclusive, and nothing says so at send. Whoever takes the event's id as key, to send each event once, sends it as often as it comes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts pg-boss@12.38.0 @electric-sql/pglite@0.5.14 >/dev/null 2>&1
cat > run.mjs <<'JS'
import { PGlite } from '@electric-sql/pglite';
import { fromPglite, PgBoss } from 'pg-boss';
const boss = new PgBoss({ db: fromPglite(await PGlite.create()), supervise: false, schedule: false });
await boss.start();
const twice = async (queue, policy) => {
  await boss.createQueue(queue, policy);
  const send = () => boss.send(queue, {}, { singletonKey: 'order-7' });
  const ids = [await send(), await send()];
  return [ids.filter(id => id !== null).length, (await boss.fetch(queue, { batchSize: 10 })).length];
};
const [usual, exclusive] = [await twice('usual'), await twice('single', { policy: 'exclusive' })];
console.log(`pg-boss 12.38.0: two sends with one singletonKey: ${usual[0]} ids, ${usual[1]} jobs fetched; on a queue with policy exclusive: ${exclusive[0]} and ${exclusive[1]}`);
process.exit(usual.join() === '2,2' && exclusive.join() === '1,1' ? 0 : 1);
JS
node run.mjs
