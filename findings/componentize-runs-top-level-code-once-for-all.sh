#!/usr/bin/env bash
# npm @bytecodealliance/componentize-js 0.23.0 and PyPI componentize-py 0.25.1, run by PyPI wasmtime 50.0.1: code at the top level of the module that becomes a component.
# One would guess: it runs when an instance starts, as a module's top level does everywhere else; so const started = Date.now() is the start.
# True: it runs once, at build time, and its results are in the component: every instance, on every machine and day, has the build's time, and in Python the build's "own" uuid4(). Whoever keeps a start time, an instance's id or a cache's age there meets it; read them inside a function.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm pkg set type=module; npm install --silent --no-fund --no-audit @bytecodealliance/componentize-js@0.23.0 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check componentize-py==0.25.1 wasmtime==50.0.1
mkdir wit; cat > wit/world.wit <<'WIT'
package shop:plugin@0.1.0;
world plugin { export state: func() -> string; }
WIT
cat > plugin.js <<'JS'
const started = Date.now();
export const state = () => `${started} ${Date.now()}`;
JS
cat > app.py <<'PY'
import time, uuid
import wit_world
started, instance = time.time(), uuid.uuid4()
class WitWorld(wit_world.WitWorld):
    def state(self) -> str:
        return f"{started} {time.time()} {instance}"
PY
cat > build.js <<'JS'
import { readFile, writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';
const { component } = await componentize({ sourcePath: 'plugin.js', witWorld: await readFile('wit/world.wit', 'utf8'), worldName: 'plugin', disableFeatures: ['http', 'fetch-event'] });
await writeFile('plugin.wasm', component);
JS
node build.js
venv/bin/componentize-py -d wit -w plugin componentize app -o app.wasm >/dev/null
built=$(date +%s); sleep 2
cat > run.py <<'PY'
import sys
from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker
built, config = float(sys.argv[1]), Config()
config.cranelift_opt_level = "none"  # compiles sooner
engine = Engine(config)
linker = Linker(engine)
linker.add_wasip2()
def twice(name):
    component = Component.from_file(engine, name)
    for _ in range(2):
        store = Store(engine)
        store.set_wasi(WasiConfig())
        yield linker.instantiate(store, component).get_func(store, "state")(store).split()
python = [(float(started), float(now), instance) for started, now, instance in twice("app.wasm")]
javascript = [(float(started) / 1000, float(now) / 1000) for started, now in twice("plugin.wasm")]
before = [one[0] <= built + 1 < one[1] for one in python + javascript]
same = len({one[0] for one in python}) == len({one[0] for one in javascript}) == 1
one_id = len({one[2] for one in python}) == 1
print(f"componentize-js 0.23.0, componentize-py 0.25.1: two instances of each, started two seconds after the build: the time of their start is before that: {all(before)}, the same in both: {same}; one uuid4() for both in Python: {one_id}")
sys.exit(0 if all(before) and same and one_id else 1)
PY
venv/bin/python run.py "$built"
