// The tables of the page: blocks of base64 of gzip, as `report/packed.py` writes them.

const MISSING = -32768, INFINITE = 32767, STEPS = 48;

async function unpack(text) {
  const letters = atob(text), zipped = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) zipped[i] = letters.charCodeAt(i);
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { head, bytes: bytes.subarray(4 + length) };
}

// Whole numbers of `width` bytes, which lie byte plane by byte plane.
function whole(bytes, at, n, width) {
  const found = width === 4 ? new Uint32Array(n) : new Int16Array(n);
  for (let byte = 0; byte < width; byte++)
    for (let i = 0; i < n; i++) found[i] |= bytes[at + byte * n + i] << (8 * byte);
  return found;
}

// A column of numbers: `text(i)` as in the tables, `value(i)` as a number, `log10(i)` also of what is too small for one.
class Column {
  constructor(bytes, { at, n, key, title }) {
    Object.assign(this, { key, title, n, bytes, at });
  }
  // read when they are first asked for
  get m() {
    return (this.wholes ??= whole(this.bytes, this.at, this.n, 2));
  }
  get e() {
    return (this.exponents ??= whole(this.bytes, this.at + 2 * this.n, this.n, 2));
  }
  missing(i) {
    return this.m[i] === MISSING;
  }
  value(i) {
    if (this.missing(i)) return NaN;
    if (Math.abs(this.m[i]) === INFINITE) return this.m[i] > 0 ? Infinity : -Infinity;
    return Number(`${this.m[i]}e${this.e[i]}`);
  }
  log10(i) {
    return this.missing(i) ? NaN : Math.log10(this.m[i]) + this.e[i];
  }
  text(i, digits = 4) {
    const value = Number(this.value(i).toPrecision(digits));
    if (Number.isNaN(value)) return "";
    if (!Number.isFinite(value)) return value > 0 ? "+∞" : "−∞";
    if (value === 0 && this.m[i] !== 0) return `1e${Math.floor(this.log10(i))}`;
    return (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6) ? value.toExponential() : `${value}`).replace("-", "−");
  }
  // for a file: a number as every program reads it
  plain(i) {
    if (this.missing(i) || Math.abs(this.m[i]) === INFINITE) return "";
    const value = this.value(i);
    return value === 0 && this.m[i] !== 0 ? `${this.m[i]}e${this.e[i]}` : `${value}`;
  }
}

// One comparison of one cell type.
class Comparison {
  constructor(bytes, head, type) {
    Object.assign(this, head, { type });
    this.geneOf = whole(bytes, head.genes, head.n, 4);
    this.isFound = bytes.subarray(head.found, head.found + head.n);
    const at = whole(bytes, head.status.at, head.n, 4);
    this.statusOf = (i) => head.status.words[at[i]];
    this.columns = head.columns.map((column) => new Column(bytes, column));
    this.column = Object.fromEntries(this.columns.map((column) => [column.key, column]));
    this.rowOf = new Map(Array.from(this.geneOf, (gene, row) => [gene, row]));
    const means = this.columns.filter(({ key }) => key.startsWith("mean_"));
    this.mean = (row) => Math.max(means.reduce((sum, column) => sum + column.value(row) / means.length, 0), 1e-6);
    this.evidence = (row) => -this.column.pvalue.log10(row);
  }
}

class CellType {
  constructor({ head, bytes }) {
    this.name = head.cellType;
    this.tests = head.tests.map((test) => new Comparison(bytes, test, this));
    const { n, genes, words, at } = head.untested;
    const why = whole(bytes, at, n, 4);
    this.whyNot = new Map(Array.from(whole(bytes, genes, n, 4), (gene, i) => [gene, words[why[i]]]));
    this.samples = head.samples && this.unpackSamples(head.samples, bytes);
  }
  unpackSamples(told, bytes) {
    const rows = new Map();
    for (const test of this.tests) for (const gene of test.geneOf) if (rows.size < told.n && !rows.has(gene)) rows.set(gene, rows.size);
    const count = told.names.length;
    return {
      ...told,
      // log2(1 + counts per million) of each sample; null where there was no room for the gene
      of(gene) {
        const row = rows.get(gene);
        if (row === undefined) return null;
        const [low, high] = [row, told.n + row].map((at) => bytes[told.ends + at] * told.unit);
        const width = Math.max(high - low, told.unit);
        const steps = bytes.subarray(told.steps + row * count, told.steps + (row + 1) * count);
        return Array.from(steps, (step) => (step === 255 ? NaN : low + (width * step) / STEPS));
      },
    };
  }
}
