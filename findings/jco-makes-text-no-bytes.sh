#!/usr/bin/env bash
# npm @bytecodealliance/jco 1.35.0: calling a component's function from JavaScript with a value that is not of the WIT type.
# One would guess: as with a string's parameter, which refuses a number with a TypeError, the generated code refuses what does not fit, or encodes text as UTF-8 bytes.
# True: text for list<u8> arrives as an empty list, without an error; a u16 of 65736 arrives as 200, -1 as 65535, undefined as 0. Whoever passes a body as text, a status or a delay out of range, or forgets an argument, has a plugin that works on nothing; only string and elements of a list are checked.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm pkg set type=module; npm install --silent --no-fund --no-audit @bytecodealliance/jco@1.35.0 >/dev/null
cat > plugin.wat <<'WAT'
(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "length") (param i32 i32) (result i32) local.get 1)
    (func (export "same") (param i32) (result i32) local.get 0))
  (core instance $it (instantiate $code))
  (func (export "length") (param "body" (list u8)) (result u32)
    (canon lift (core func $it "length") (memory (core memory $it "memory")) (realloc (core func $it "realloc"))))
  (func (export "letters") (param "text" string) (result u32)
    (canon lift (core func $it "length") (memory (core memory $it "memory")) (realloc (core func $it "realloc"))))
  (func (export "status") (param "status" u16) (result u16) (canon lift (core func $it "same"))))
WAT
node_modules/.bin/jco parse plugin.wat -o plugin.wasm >/dev/null
node_modules/.bin/jco transpile plugin.wasm -o out >/dev/null 2>&1
cat > run.js <<'JS'
import { length, letters, status } from './out/plugin.js';
const told = (call, ...values) => { try { return call(...values); } catch (error) { return error.constructor.name; } };
const text = '{"paid":true}';
const seen = {
  bytes: told(length, new TextEncoder().encode(text)), text: told(length, text), element: told(length, [300]), string: told(letters, 5),
  statuses: [65736, -1, undefined].map(value => told(status, value)),
};
console.log(`@bytecodealliance/jco 1.35.0: list<u8> of 13 bytes has length ${seen.bytes}, of a text of 13 letters ${seen.text}, of [300]: ${seen.element}; string of 5: ${seen.string}; u16 of 65736, -1, undefined: ${seen.statuses.join(', ')}`);
process.exit(seen.bytes === 13 && seen.text === 0 && seen.element === 'TypeError' && seen.string === 'TypeError' && seen.statuses.join() === '200,65535,0' ? 0 : 1);
JS
node run.js
