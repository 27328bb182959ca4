// The search, a gene's pane, and the table of a comparison.

// They are comments of a style sheet (see `page/__init__.py`).
const blocks = [...document.querySelectorAll("style")].flatMap((sheet) => sheet.textContent.match(/\/\*nd-block [^*]*/g) ?? []).map((block) => block.slice(11));
let study, types;

const PAGE_ROWS = 15;
const NUMBERS = ["coef", "lower", "upper", "se", "pvalue", "padj"];

async function load() {
  study = (await unpack(blocks[0])).head;
  study.place = new Map(study.genes.map((name, place) => [name, place]));
  study.lower = study.genes.map((name, place) => `${name}\n${study.ids[place] ?? ""}`.toLowerCase());
  types = [];
  for (const block of blocks.slice(1)) {
    types.push(new CellType(await unpack(block)));
    await new Promise((turn) => setTimeout(turn)); // the page stays alive meanwhile
  }
}

const factorOf = (test) => {
  const levels = test.type.samples?.levels ?? {};
  return Object.keys(levels).find((factor) => levels[factor].order.includes(test.level)) ?? Object.keys(levels)[0];
};

// Genes whose name or id has the words in it: the same first, then those that begin so.
function matches(words, most = 12) {
  const wanted = words.trim().toLowerCase();
  if (!wanted) return [];
  const found = [[], [], []];
  for (let place = 0; place < study.lower.length; place++) {
    const [name, id] = study.lower[place].split("\n");
    if (name === wanted || id === wanted) found[0].push(place);
    else if (name.startsWith(wanted) || id.startsWith(wanted)) found[1].push(place);
    else if (name.includes(wanted)) found[2].push(place);
  }
  return found.flat().slice(0, most);
}

function cellsOf(test, row) {
  const text = (key) => test.column[key]?.text(row) ?? "";
  return [text("coef"), `${text("lower")} to ${text("upper")}`, text("pvalue"), text("padj"), test.statusOf(row)];
}

// All that is known of a gene.
function pane(gene) {
  const body = node("tbody"), effects = [];
  for (const type of types) {
    const tested = type.tests.filter((test) => test.rowOf.has(gene));
    for (const test of tested) {
      const row = test.rowOf.get(gene);
      const [coef, limits, p, padj, status] = cellsOf(test, row);
      const found = test.isFound[row] ? (test.column.coef.value(row) > 0 ? " ↑" : " ↓") : "";
      const line = node("tr", {}, node("th", { scope: "row" }, `${test.label}${found}`));
      for (const [place, cell] of [coef, limits, p, padj, status].entries()) line.append(node("td", { class: place < 4 ? "text-end" : "" }, cell));
      body.append(line);
      const [value, low, high] = ["coef", "lower", "upper"].map((key) => test.column[key].value(row));
      effects.push({ name: test.label, value, low, high, found: test.isFound[row] });
    }
    if (!tested.length) {
      const why = type.whyNot.get(gene) ?? "did not come in";
      body.append(node("tr", {}, node("th", { scope: "row" }, type.name), node("td", { colspan: 5 }, why)));
    }
  }
  const header = ["Cell type", "Effect", "95 % limits", "p", "FDR", "Status"];
  const head = node("thead", {}, node("tr", {}, ...header.map((title, place) => node("th", { scope: "col", class: place && place < 5 ? "text-end" : "" }, title))));
  const id = study.ids[gene];
  const made = node("div", { class: "nd-gene" }, node("h4", { tabindex: -1 }, study.genes[gene] + (id ? ` · ${id}` : "")));
  made.append(node("div", { class: "table-responsive" }, node("table", { class: "table table-sm w-auto" }, head, body)));
  made.append(node("div", { class: "nd-row" }, framed(forest(effects, study.scale), () => [["comparison", "effect", "lower", "upper", "found"], ...effects.map(({ name, value, low, high, found }) => [name, ...[value, low, high].map((end) => (Number.isFinite(end) ? end : "")), found ? "yes" : "no"])]), ...types.map((type) => {
    const test = type.tests.find((test) => test.rowOf.has(gene));
    return test && sampled(test, gene, test.label);
  })));
  return made;
}

// The samples of a gene, with the effect of a comparison; a sentence where there was no room, nothing where it was not tested.
function sampled(test, gene, title) {
  if (!test?.type.samples) return null;
  const { type } = test, values = type.samples.of(gene), row = test.rowOf.get(gene);
  if (!values) return node("p", { class: "nd-note" }, `${title}: the samples of ${study.genes[gene]} are in the results folder, pseudobulk/.`);
  const [coef, lower, upper] = ["coef", "lower", "upper"].map((key) => test.column[key].text(row, 3));
  const said = `effect ${coef} (${lower} to ${upper}), FDR ${test.column.padj.text(row, 2)}`;
  return framed(strip(title, said, type.samples, values, factorOf(test)), () => tsvOf(type, values));
}

function tsvOf(type, values) {
  const factors = Object.entries(type.samples.levels);
  const rows = type.samples.names.map((name, i) => [name, ...factors.map(([, { of }]) => of[i]), type.samples.cells[i], Number.isFinite(values[i]) ? Number(values[i].toPrecision(4)) : ""]);
  return [["sample_id", ...factors.map(([factor]) => factor), "cells", "log2_1_plus_cpm"], ...rows];
}

// The rows of a comparison for a file.
function rowsOf(test) {
  const header = ["gene", ...(study.ids.length ? ["gene_id"] : []), "status", ...test.columns.map((column) => column.key)];
  const rows = [header];
  for (let row = 0; row < test.n; row++) {
    const gene = test.geneOf[row];
    const cells = test.columns.map((column) => {
      const text = column.plain(row);
      return text === "" || Number(text) === 0 && !/^0$/.test(text) ? text : Number(text);
    });
    rows.push([study.genes[gene], ...(study.ids.length ? [study.ids[gene]] : []), test.statusOf(row), ...cells]);
  }
  return rows;
}

// A table of a comparison: sorted by a click on a column, 25 rows at a time.
function browser() {
  const tests = types.flatMap((type) => type.tests.map((test) => ({ test, title: test.label })));
  const choice = node("select", { class: "form-select form-select-sm w-auto", "aria-label": "Comparison" }, ...tests.map(({ title }, i) => node("option", { value: i }, title)));
  const table = node("table", { class: "table table-sm table-hover w-auto" }), where = node("span", { "aria-live": "polite" });
  let order, at = 0, by = "pvalue", down = false;
  const test = () => tests[choice.value].test;
  const shown = () => test().columns.filter(({ key }) => NUMBERS.includes(key) || key.startsWith("mean_") || key.startsWith("detected_") || key === "padj_pseudobulk");
  function sort() {
    const column = test().column[by], value = by === "pvalue" ? (row) => column.log10(row) : (row) => column.value(row);
    order = Array.from({ length: test().n }, (_, row) => row);
    const keys = by === "gene" ? null : order.map(value);
    if (keys) order.sort((a, b) => Number.isNaN(keys[a]) - Number.isNaN(keys[b]) || (down ? keys[b] - keys[a] : keys[a] - keys[b]) || a - b);
    else order.sort((a, b) => (down ? test().geneOf[b] - test().geneOf[a] : test().geneOf[a] - test().geneOf[b]));
    at = 0;
    draw();
  }
  function head(key, title) {
    const now = by === key ? (down ? "descending" : "ascending") : "none";
    const press = () => {
      [by, down] = [key, by === key ? !down : false];
      sort();
      table.querySelector(`th[aria-sort="${down ? "descending" : "ascending"}"] button`).focus();
    };
    const mark = now === "none" ? "" : down ? " ↓" : " ↑";
    return node("th", { scope: "col", "aria-sort": now, class: key === "gene" ? "" : "text-end" }, node("button", { class: "nd-sort", type: "button", onclick: press }, title + mark));
  }
  function draw() {
    const columns = shown(), body = node("tbody");
    for (const row of order.slice(at, at + PAGE_ROWS)) {
      const gene = test().geneOf[row];
      const name = node("button", { class: "nd-name", type: "button", onclick: () => showGene(gene) }, study.genes[gene]);
      body.append(node("tr", {}, node("th", { scope: "row" }, name), ...columns.map((column) => node("td", { class: "text-end" }, column.text(row)))));
    }
    table.replaceChildren(node("thead", {}, node("tr", {}, head("gene", "Gene"), ...columns.map(({ key, title }) => head(key, title)))), body);
    where.textContent = `${(at + 1).toLocaleString("en")} to ${Math.min(at + PAGE_ROWS, test().n).toLocaleString("en")} of ${test().n.toLocaleString("en")} tested genes`;
  }
  const button = (title, press) => node("button", { class: "btn btn-sm btn-outline-secondary", type: "button", onclick: press }, title);
  const turn = (by) => () => {
    if (at + by >= 0 && at + by < test().n) at += by;
    draw();
  };
  const name = () => `${test().type.name}_${test().comparison}`;
  const mime = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
  choice.addEventListener("change", () => ([by, down] = ["pvalue", false]) && sort());
  const bar = node("div", { class: "nd-bar" }, choice, button("← Back", turn(-PAGE_ROWS)), button("Next →", turn(PAGE_ROWS)), where,
    button("CSV", () => save(`${name()}.csv`, ["\ufeff", csv(rowsOf(test()))], "text/csv")),
    button("XLSX", async () => save(`${name()}.xlsx`, await xlsx(rowsOf(test()), test().type.name), mime)));
  sort();
  return node("details", { class: "nd-browser", open: true }, node("summary", {}, "All genes of a comparison"), bar, node("div", { class: "table-responsive" }, table));
}

const place = document.getElementById("nd-genes");
const shownGene = node("div", { id: "nd-shown", "aria-live": "polite" });

function showGene(gene) {
  closeCard();
  shownGene.replaceChildren(pane(gene));
  input.value = study.genes[gene];
  place.scrollIntoView({ block: "start", behavior: "instant" });
  shownGene.querySelector("h4").focus({ preventScroll: true });
}

// A text field with a list of genes below it, as the ARIA practice for comboboxes has it.
const list = node("ul", { id: "nd-list", role: "listbox", "aria-label": "Genes", hidden: "" });
const input = node("input", {
  id: "nd-search", type: "search", class: "form-control", role: "combobox", autocomplete: "off", spellcheck: "false", placeholder: "Any gene, by name or id",
  "aria-label": "Search a gene by name or id", "aria-autocomplete": "list", "aria-controls": "nd-list", "aria-expanded": "false",
});
let active = -1;

function offer() {
  const found = matches(input.value);
  active = -1;
  list.replaceChildren(...found.map((gene, i) =>
    node("li", { id: `nd-option-${i}`, role: "option", "data-gene": gene, "aria-selected": "false", onpointerdown: (event) => { event.preventDefault(); take(gene); } },
      study.genes[gene] + (study.ids[gene] ? ` · ${study.ids[gene]}` : ""))));
  if (!found.length && input.value.trim()) list.append(node("li", { class: "nd-none" }, "No gene of that name came in."));
  expand(list.childElementCount > 0);
}

function expand(open) {
  list.hidden = !open;
  input.setAttribute("aria-expanded", `${open}`);
  if (!open) input.removeAttribute("aria-activedescendant");
}

function take(gene) {
  expand(false);
  showGene(gene);
}

function move(by) {
  const options = [...list.querySelectorAll("[role=option]")];
  if (!options.length) return;
  active = (active + by + options.length) % options.length;
  options.forEach((option, i) => option.setAttribute("aria-selected", `${i === active}`));
  options[active].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", options[active].id);
}

// From anywhere: the key /, or a link to the search.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  input.focus();
});
addEventListener("click", (event) => event.target.closest?.(".mainpage a[href='#nestde_any_gene']") && setTimeout(() => input.focus()));
input.addEventListener("input", offer);
input.addEventListener("blur", () => expand(false));
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (list.hidden) offer();
    move(event.key === "ArrowDown" ? 1 : -1);
    event.preventDefault();
  } else if (event.key === "Enter") {
    const options = list.querySelectorAll("[role=option]");
    const chosen = options[Math.max(active, 0)];
    if (chosen) take(Number(chosen.dataset.gene));
    event.preventDefault();
  } else if (event.key === "Escape") expand(false);
});
