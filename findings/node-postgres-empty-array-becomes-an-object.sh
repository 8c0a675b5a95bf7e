#!/usr/bin/env bash
# npm pg 8.23.1 (against the PostgreSQL of @electric-sql/pglite 0.5.14): a JavaScript value as parameter for a jsonb column.
# One would guess: it is written as JSON, since objects are; or arrays fail always, and every test shows it.
# True: an array is written as PostgreSQL's own array: [1,2] fails as JSON, but the empty one is written {}, which is JSON, and an empty object is stored without an error. Whoever stores payloads, tags or a batch's results meets it on the day when the list is empty; JSON.stringify first.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts pg@8.23.1 @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17 >/dev/null
cat > run.mjs <<'JS'
import { createServer } from 'node:net';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';
const port = await new Promise(done => { const probe = createServer().listen(0, '127.0.0.1', () => { const { port } = probe.address(); probe.close(() => done(port)); }); });
await new PGLiteSocketServer({ db: await PGlite.create(), port, host: '127.0.0.1' }).start();
const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: 'none', database: 'postgres' });
await client.connect();
await client.query('create table job (id serial, payload jsonb)');
const stored = async value => {
  try { return JSON.stringify((await client.query('insert into job (payload) values ($1) returning payload', [value])).rows[0].payload); }
  catch (error) { return error.message; }
};
const [object, full, empty] = [await stored({ tags: [] }), await stored([1, 2]), await stored([])];
console.log(`pg 8.23.1: {tags: []} is stored as ${object}; [1, 2]: ${full}; []: stored as ${empty}`);
process.exit(object === '{"tags":[]}' && full === 'invalid input syntax for type json' && empty === '{}' ? 0 : 1);
JS
node run.mjs
