// Figures: their files, what lies under the pointer, the samples of a gene that is clicked.

const button = (title, label, press) => node("button", { class: "nd-save", type: "button", "aria-label": label, onclick: press }, title);

// The buttons that save a drawing; `rows` gives its data, the header first.
function files(svg, rows) {
  const title = svg.getAttribute("aria-label") ?? svg.querySelector("text")?.textContent ?? "figure";
  const bar = node("figcaption", { class: "nd-files" },
    button("SVG", `Save as SVG: ${title}`, () => save(`${title}.svg`, [alone(svg)], "image/svg+xml")),
    button("PNG", `Save as PNG: ${title}`, async () => save(`${title}.png`, [await picture(svg)], "image/png")));
  if (rows) bar.append(button("TSV", `Save the data: ${title}`, () => save(`${title}.tsv`, [tsv(rows())], "text/tab-separated-values")));
  return bar;
}

const framed = (svg, rows) => svg && node("figure", { class: "nd-figure" }, svg, files(svg, rows));

// Those that stand in the page already.
function frameAll() {
  for (const figure of document.querySelectorAll("figure.nd-drawn")) {
    const data = figure.querySelector("template");
    const parsed = () => data.content.textContent.trim().split("\n").map((line) => line.split("\t"));
    const rows = figure.dataset.test ? () => rowsOf(testOf(figure)) : data ? parsed : null;
    const svg = figure.querySelector("svg");
    if (!svg) continue;
    figure.append(files(svg, rows));
    if (figure.dataset.x) live(figure);
  }
}

const testOf = (element) => {
  const [type, test] = element.dataset.test.split(" ").map(Number);
  return types[type].tests[test];
};

// What an axis shows of a row.
const axis = (test, key) => (row) => {
  if (key === "evidence") return test.evidence(row);
  if (key === "mean") return Math.log10(test.mean(row));
  return test.column[key].value(row);
};

// The point that is nearest to the pointer, among all genes, drawn or not.
function live(figure) {
  const svg = figure.querySelector("svg"), test = testOf(figure);
  const [xLow, xHigh, xStart, xEnd, yLow, yHigh, yStart, yEnd] = figure.dataset.axes.split(" ").map(Number);
  const clip = (value, low, high) => Math.min(Math.max(value, low), high);
  let points;
  const pointsOf = () => (points ??= Array.from({ length: test.n }, (_, row) => [
    xStart + ((clip(axis(test, figure.dataset.x)(row), xLow, xHigh) - xLow) / (xHigh - xLow)) * (xEnd - xStart),
    yStart + ((clip(axis(test, figure.dataset.y)(row), yLow, yHigh) - yLow) / (yHigh - yLow)) * (yEnd - yStart),
  ]));
  const ring = node("circle", { class: "nd-ring", r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.5, visibility: "hidden" });
  svg.append(ring);
  let nearest = -1;
  function find(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let least = event.pointerType === "touch" ? 900 : 200;
    nearest = -1;
    pointsOf().forEach(([x, y], row) => {
      const far = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (far < least) [least, nearest] = [far, row];
    });
    ring.setAttribute("visibility", nearest < 0 ? "hidden" : "visible");
    if (nearest < 0) return hint.setAttribute("hidden", "");
    const [x, y] = points[nearest];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    tell(test, nearest, event);
  }
  svg.addEventListener("pointermove", find);
  svg.addEventListener("pointerleave", () => {
    ring.setAttribute("visibility", "hidden");
    hint.setAttribute("hidden", "");
  });
  svg.addEventListener("click", (event) => {
    find(event);
    if (nearest >= 0) openCard(test, nearest);
  });
  svg.classList.add("nd-live");
}

const hint = node("div", { id: "nd-hint", role: "status", hidden: "" });
const card = node("aside", { id: "nd-card", "aria-label": "Gene", hidden: "" });

function tell(test, row, event) {
  const [coef, limits, p, padj] = cellsOf(test, row);
  const means = test.columns.filter(({ key }) => key.startsWith("mean_")).map((column) => `${column.title} ${column.text(row)}`);
  const lines = [`effect ${coef} (${limits})`, `p ${p}, FDR ${padj}`, means.join(", ")];
  hint.replaceChildren(node("b", {}, study.genes[test.geneOf[row]]), ...lines.filter(Boolean).map((line) => node("div", {}, line)));
  hint.removeAttribute("hidden");
  const left = Math.min(event.clientX + 14, innerWidth - hint.offsetWidth - 8);
  hint.style.left = `${Math.max(left, 4)}px`;
  hint.style.top = `${Math.max(event.clientY - hint.offsetHeight - 12, 4)}px`;
}

function openCard(test, row) {
  const gene = test.geneOf[row], [coef, limits, p, padj] = cellsOf(test, row);
  card.replaceChildren(
    node("button", { class: "btn-close", type: "button", "aria-label": "Close", onclick: closeCard }),
    node("h4", {}, study.genes[gene]),
    node("p", {}, `${test.label}: effect ${coef} (${limits}), p ${p}, FDR ${padj}`),
    sampled(test, gene, test.label) ?? "",
    node("button", { class: "btn btn-sm btn-outline-secondary", type: "button", onclick: () => showGene(gene) }, "All cell types"),
  );
  hint.setAttribute("hidden", "");
  card.removeAttribute("hidden");
}

function closeCard() {
  card.setAttribute("hidden", "");
}

addEventListener("keydown", (event) => event.key === "Escape" && closeCard());

function drawStrips() {
  for (const part of document.querySelectorAll(".nd-strips")) {
    const test = testOf(part), genes = [];
    for (let row = 0; row < test.n && genes.length < Number(part.dataset.genes); row++) if (test.isFound[row]) genes.push(row);
    part.classList.add("nd-row");
    for (const row of genes) {
      const gene = test.geneOf[row], made = sampled(test, gene, study.genes[gene]);
      if (made) part.append(made);
    }
  }
}

async function begin() {
  document.body.append(hint, card);
  if (blocks.length) {
    await load(); // else nothing was tested
    place.replaceChildren(node("div", { class: "nd-search" }, input, list), shownGene, browser());
  }
  frameAll();
  drawStrips();
  document.documentElement.dataset.nestde = "ready";
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin);
else begin();
