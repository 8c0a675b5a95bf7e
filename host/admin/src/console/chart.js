// Small charts of one line, drawn as SVG.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 240;
const HEIGHT = 48;

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** `values` from the oldest to the newest; null where nothing is known. `says` is what a reader who sees no chart is told. */
export function line(values, says, kind = "") {
  const chart = shape("svg", { class: `chart ${kind}`, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": says });
  chart.append(shape("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  if (values.length < 2 || most === 0) return chart;
  const at = (value, place) => [
    ((place / (values.length - 1)) * WIDTH).toFixed(1), (HEIGHT - 2 - (value / most) * (HEIGHT - 6)).toFixed(1)].join(" ");
  for (const run of runs(values)) {
    const points = run.map(([value, place]) => at(value, place));
    const start = points[0].split(" ")[0];
    const end = points.at(-1).split(" ")[0];
    chart.append(
      shape("path", { class: "area", d: `M${start} ${HEIGHT} L${points.join(" L")} L${end} ${HEIGHT} Z` }),
      shape("path", { class: "stroke", d: `M${points.join(" L")}${points.length === 1 ? " h3" : ""}` }));
  }
  return chart;
}

/** The stretches without a gap. */
function runs(values) {
  const all = [];
  let now = [];
  values.forEach((value, place) => {
    if (value === null || value === undefined) { if (now.length) all.push(now); now = []; } else now.push([value, place]);
  });
  if (now.length) all.push(now);
  return all;
}

/** Sums of neighbours, so that at most `most` values are left. */
export function thin(values, most, fold = (part) => part.reduce((sum, one) => sum + (one ?? 0), 0)) {
  const size = Math.ceil(values.length / most);
  if (size <= 1) return values;
  const out = [];
  for (let at = 0; at < values.length; at += size) out.push(fold(values.slice(at, at + size)));
  return out;
}

/** Parts of a whole, as a bar: `[[count, mood], …]`. */
export function ratio(parts, says) {
  const bar = document.createElement("div");
  bar.className = "ratio";
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", says);
  for (const [count, mood] of parts) {
    if (!count) continue;
    const part = document.createElement("i");
    part.className = mood;
    part.style.flexGrow = count;
    bar.append(part);
  }
  return bar;
}
