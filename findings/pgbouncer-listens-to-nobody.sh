#!/usr/bin/env bash
# Debian's pgbouncer 1.18.0 and postgresql-15 with npm pg 8.23.1: pool_mode = transaction, and a job queue that wakes its workers by LISTEN.
# One would guess: LISTEN through the pooler works, since the client's connection stays open, or fails with an error.
# True: it is answered with LISTEN as ever, and a notification reaches the client only if it comes while a statement of its own runs: the listener that notifies itself hears it, so that the test passes; what others send while it waits is dropped, and its next statement doesn't bring it either. Workers listen past the pooler, and poll as well.
set -euo pipefail
dir=$(mktemp -d); server=; pooler=; stop() { if [ -n "$1" ]; then kill -INT "$1"; wait "$1" || true; fi; }
trap 'stop "$pooler"; stop "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts pg@8.23.1 >/dev/null
apt-get download -qq postgresql-15 libpq5 pgbouncer libc-ares2 libevent-2.1-7 >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu
usr/sbin/pgbouncer --version | grep -q 'PgBouncer 1.18.0'
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free); door=$(free)
as=(); mkdir -m 700 data; if [ "$(id -u)" = 0 ]; then chown nobody data; as=(setpriv --reuid nobody --regid nogroup --clear-groups); fi # neither runs as root
"${as[@]}" usr/lib/postgresql/15/bin/initdb -D data -U postgres -A trust --no-sync >/dev/null
"${as[@]}" usr/lib/postgresql/15/bin/postgres -D data -p "$port" -h 127.0.0.1 -k '' -F >/dev/null 2>&1 & server=$!
printf '[databases]\npostgres = host=127.0.0.1 port=%s user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n' "$port" "$door" > pgbouncer.ini
"${as[@]}" usr/sbin/pgbouncer pgbouncer.ini >/dev/null 2>&1 & pooler=$!
cat > run.mjs <<'JS'
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
const [port, door] = process.argv.slice(2);
const connected = async (to, tries = 100) => {
  const client = new pg.Client({ host: '127.0.0.1', port: to, user: 'postgres', database: 'postgres' });
  try { await client.connect(); return client; } catch (error) { if (tries === 0) throw error; }
  await pause(100);
  return connected(to, tries - 1);
};
const [direct, pooled] = [await connected(port), await connected(door)];
const got = { direct: [], pooled: [] };
direct.on('notification', ({ payload }) => got.direct.push(payload));
pooled.on('notification', ({ payload }) => got.pooled.push(payload));
await direct.query('listen jobs');
const answer = (await pooled.query('listen jobs')).command;
await pooled.query("notify jobs, 'its own'");
await pause(1000);
await direct.query("notify jobs, 'from another'");
await pause(1000);
await pooled.query('select 1');
await pause(500);
console.log(`pgbouncer 1.18.0: LISTEN through the pooler is answered with ${answer}; of two notifications it brings: ${got.pooled}; past the pooler come: ${got.direct}`);
await Promise.all([direct.end(), pooled.end()]);
process.exit(answer === 'LISTEN' && got.pooled.join() === 'its own' && got.direct.join() === 'its own,from another' ? 0 : 1);
JS
node run.mjs "$port" "$door"
