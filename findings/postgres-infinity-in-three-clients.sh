#!/usr/bin/env bash
# PyPI asyncpg 0.32.0, psycopg 3.3.9 and npm pg 8.23.1 (against Debian's postgresql-15): reading a timestamptz of 'infinity'.
# One would guess: the clients refuse it, or give a date far ahead that compares as later than now.
# True: psycopg raises, node gives the number Infinity instead of a Date, and asyncpg gives 9999-12-31 without a zone, though every other timestamptz comes with one: comparing it with an aware "now" raises TypeError. A queue that parks jobs with run_at = 'infinity' has a row that one worker cannot fetch, another can't compare and a third can't call a method of.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || { kill -INT "$server"; wait "$server" || true; }; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts pg@8.23.1 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check asyncpg==0.32.0 'psycopg[binary]==3.3.9'
apt-get download -qq postgresql-15 libpq5 >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
as=(); mkdir -m 700 data; if [ "$(id -u)" = 0 ]; then chown nobody data; as=(setpriv --reuid nobody --regid nogroup --clear-groups); fi # PostgreSQL does not run as root
postgres() { "${as[@]}" "usr/lib/postgresql/15/bin/$@"; }
postgres initdb -D data -U postgres -A trust --no-sync >/dev/null
"${as[@]}" usr/lib/postgresql/15/bin/postgres -D data -p "$port" -h 127.0.0.1 -k '' -F >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import asyncio, datetime, json, sys
import asyncpg, psycopg
address = f"postgresql://postgres@127.0.0.1:{sys.argv[1]}/postgres"
now = datetime.datetime.now(datetime.timezone.utc)
def by_psycopg():
    connection = psycopg.connect(address)
    try:
        return str(connection.execute("select 'infinity'::timestamptz").fetchone())
    except psycopg.Error as error:
        return type(error).__name__
async def by_asyncpg():
    connection = await asyncpg.connect(address)
    usual, parked = await connection.fetchrow("select now(), 'infinity'::timestamptz")
    try:
        told = str(now < parked)
    except TypeError as error:
        told = type(error).__name__
    await connection.close()
    return [usual.tzinfo is not None, str(parked), told]
print(json.dumps([by_psycopg(), *asyncio.run(by_asyncpg())]))
PY
cat > run.mjs <<'JS'
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
const port = process.argv[2];
const connected = async (tries = 100) => {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  try { await client.connect(); return client; } catch (error) { if (tries === 0) throw error; }
  await pause(100);
  return connected(tries - 1);
};
const client = await connected();
const node = (await client.query("select 'infinity'::timestamptz parked")).rows[0].parked;
await client.end();
const [psycopg, aware, parked, told] = JSON.parse(execFileSync('venv/bin/python', ['run.py', port]));
console.log(`psycopg 3.3.9: ${psycopg}; pg 8.23.1: ${typeof node} ${node}; asyncpg 0.32.0: ${parked}, compared with now: ${told} (now() has a zone: ${aware})`);
process.exit(psycopg === 'DataError' && node === Infinity && aware && parked === '9999-12-31 23:59:59.999999' && told === 'TypeError' ? 0 : 1);
JS
node run.mjs "$port"
