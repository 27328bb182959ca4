// Small drawings. All text from data goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const PALETTE = ["#2166ac", "#c2410c", "#7b3294", "#b8860b", "#0f766e", "#5c6470"];

function node(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "circle", "text", "line", "rect", "title"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// The mean of some values, and how far its 95 % limits are from it; `t` has the quantiles by degrees of freedom, from 1 on.
function meanOf(values, t) {
  const n = values.length, mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return [mean, n > 1 ? t[n - 2] * Math.sqrt(squares / (n - 1) / n) : 0];
}
const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// About four round numbers between two.
function ticks(low, high) {
  const raw = (high - low) / 4 || 1;
  const base = 10 ** Math.floor(Math.log10(raw));
  const step = base * [1, 2, 5, 10].find((factor) => factor * base >= raw);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9; at++) found.push(Number((at * step).toPrecision(6)));
  return found;
}

// One dot a sample, in a row for each level: its place on the scale, its area the number of its cells; the mean and its 95 % limits.
function strip(title, said, samples, values, factor) {
  const groups = factor ? samples.levels[factor] : { order: ["samples"], of: samples.names.map(() => "samples") };
  const known = values.filter(Number.isFinite);
  if (!known.length) return null;
  let [low, high] = [Math.min(...known), Math.max(...known)];
  if (high - low < 0.5) [low, high] = [(low + high) / 2 - 0.25, (low + high) / 2 + 0.25];
  const width = 320, left = 88, right = 12, step = 30, top = said ? 40 : 26;
  const height = top + step * groups.order.length + 34;
  const room = 0.04 * (high - low); // beside the outermost dots
  [low, high] = [low - room, high + room];
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - right);
  const most = Math.max(1, ...samples.cells);
  const drawn = node("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "nd-svg", fill: "currentColor", xmlns: SVG });
  drawn.setAttribute("aria-label", `${title}: one dot a sample, by ${factor ?? "sample"}`);
  drawn.append(node("text", { x: 2, y: 13, "font-size": 12, "font-weight": 600 }, title), node("text", { x: 2, y: 28, "font-size": 10.5 }, said));
  const foot = top + step * groups.order.length;
  for (const tick of ticks(low, high))
    drawn.append(
      node("path", { d: `M${x(tick)} ${top}V${foot}`, stroke: "currentColor", "stroke-opacity": 0.13 }),
      node("text", { x: x(tick), y: foot + 13, "font-size": 10, "text-anchor": "middle" }, `${tick}`.replace("-", "−")),
    );
  drawn.append(node("text", { x: (left + width - right) / 2, y: foot + 28, "font-size": 10.5, "text-anchor": "middle" }, "log2(1 + counts per million)"));
  groups.order.forEach((level, place) => {
    const middle = top + step * (place + 0.5);
    drawn.append(node("text", { x: left - 8, y: middle + 4, "font-size": 11, "text-anchor": "end" }, shorten(level, 13)));
    const own = values.map((value, i) => [value, i]).filter(([value, i]) => groups.of[i] === level && Number.isFinite(value));
    own.forEach(([value, i], turn) => {
      const dot = node("circle", {
        cx: x(value).toFixed(1), cy: (middle + ((turn % 5) - 2) * 3).toFixed(1), r: (2 + 4 * Math.sqrt(samples.cells[i] / most)).toFixed(1),
        fill: PALETTE[place % PALETTE.length], "fill-opacity": 0.6, stroke: PALETTE[place % PALETTE.length],
      });
      dot.append(node("title", {}, `${samples.names[i]}: ${value.toFixed(2)}, ${samples.cells[i]} cells`));
      drawn.append(dot);
    });
    if (own.length) {
      const [at, reach] = meanOf(own.map(([value]) => value), samples.t);
      const mark = [`M${x(at).toFixed(1)} ${middle - 11}v22`];
      if (reach) mark.push(...[at - reach, at + reach].map((end) => Math.min(Math.max(end, low), high)).map((end) => `M${x(at).toFixed(1)} ${middle}H${x(end).toFixed(1)}`));
      drawn.append(node("path", { d: mark.join(""), stroke: "currentColor", "stroke-width": 2 }));
    }
  });
  return drawn;
}

// Effects with their 95 % limits, a line for each comparison.
function forest(rows, scale) {
  const ends = rows.flatMap(({ low, high, value }) => [low, high, value]).filter(Number.isFinite);
  if (!ends.length) return null;
  const low = Math.min(0, ...ends), high = Math.max(0, ...ends), span = high - low || 1;
  const width = 420, left = 170, right = 14, step = 20, top = 10, foot = top + step * rows.length;
  const x = (value) => left + ((value - low + 0.03 * span) / (1.06 * span)) * (width - left - right);
  const drawn = node("svg", { viewBox: `0 0 ${width} ${foot + 34}`, width, height: foot + 34, role: "img", class: "nd-svg", fill: "currentColor", xmlns: SVG });
  drawn.setAttribute("aria-label", "Effect and its 95 % limits in each cell type");
  for (const tick of ticks(low, high))
    drawn.append(
      node("path", { d: `M${x(tick)} ${top}V${foot}`, stroke: "currentColor", "stroke-opacity": tick === 0 ? 0.6 : 0.13 }),
      node("text", { x: x(tick), y: foot + 13, "font-size": 10, "text-anchor": "middle" }, `${tick}`.replace("-", "−")),
    );
  drawn.append(node("text", { x: (left + width - right) / 2, y: foot + 28, "font-size": 10.5, "text-anchor": "middle" }, `effect and 95 % limits (${scale})`));
  rows.forEach((row, place) => {
    const middle = top + step * (place + 0.5), colour = row.found ? (row.value > 0 ? "#c2410c" : "#2166ac") : "#8a8f98";
    drawn.append(node("text", { x: left - 8, y: middle + 4, "font-size": 11, "text-anchor": "end" }, shorten(row.name, 26)));
    if (Number.isFinite(row.low) && Number.isFinite(row.high))
      drawn.append(node("path", { d: `M${x(row.low).toFixed(1)} ${middle}H${x(row.high).toFixed(1)}`, stroke: colour, "stroke-width": 2 }));
    if (Number.isFinite(row.value)) drawn.append(node("circle", { cx: x(row.value).toFixed(1), cy: middle, r: 4.5, fill: colour }));
  });
  return drawn;
}
