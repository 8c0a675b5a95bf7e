#!/usr/bin/env bash
# npm postgres 3.4.9 (postgres.js) and pg 8.23.1 (against Debian's postgresql-15): JSON.stringify(value) as parameter for a jsonb column.
# One would guess: the database parses the text, and an object is stored: that is what pg wants one to do with arrays.
# True: postgres.js asks the server for the parameter's type, sees jsonb and stringifies the text once more: a JSON string is stored, without an error; payload->>'id' is null, an index on it finds nothing. Reading gives the text back, so a reader that parses it sees no fault. Whoever moves a job table's code from pg, or reads it with another client, meets it.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || { kill -INT "$server"; wait "$server" || true; }; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts postgres@3.4.9 pg@8.23.1 >/dev/null
apt-get download -qq postgresql-15 libpq5 >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
as=(); mkdir -m 700 data; if [ "$(id -u)" = 0 ]; then chown nobody data; as=(setpriv --reuid nobody --regid nogroup --clear-groups); fi # PostgreSQL does not run as root
"${as[@]}" usr/lib/postgresql/15/bin/initdb -D data -U postgres -A trust --no-sync >/dev/null
"${as[@]}" usr/lib/postgresql/15/bin/postgres -D data -p "$port" -h 127.0.0.1 -k '' -F >/dev/null 2>&1 & server=$!
cat > run.mjs <<'JS'
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import postgres from 'postgres';
const port = Number(process.argv[2]);
const connected = async (tries = 100) => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  try { await client.connect(); return client; } catch (error) { if (tries === 0) throw error; }
  await pause(100);
  return connected(tries - 1);
};
const client = await connected();
const sql = postgres({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
await client.query('create table job (writer text, payload jsonb)');
const text = JSON.stringify({ id: 'order-7' });
await client.query('insert into job values ($1, $2)', ['pg', text]);
await sql`insert into job values ('postgres', ${text})`;
await sql`insert into job values ('postgres, the object', ${{ id: 'order-7' }})`;
const { rows } = await client.query("select jsonb_typeof(payload) kind, payload->>'id' id from job");
const seen = rows.map(({ kind, id }) => `${kind} with id ${id}`);
await Promise.all([client.end(), sql.end()]);
console.log(`JSON.stringify for a jsonb column: pg 8.23.1 stores an ${seen[0]}; postgres 3.4.9 a ${seen[1]}; given the object itself an ${seen[2]}`);
process.exit(seen.join() === 'object with id order-7,string with id null,object with id order-7' ? 0 : 1);
JS
node run.mjs "$port"
