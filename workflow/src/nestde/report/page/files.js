// Files that the page makes: TSV, CSV, XLSX, SVG, PNG.

function save(name, parts, type) {
  const address = URL.createObjectURL(new Blob(parts, { type }));
  const link = node("a", { href: address, download: name.replace(/[^\w.+-]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

// A spreadsheet computes what begins so: a space of no width makes it text (as `sections.shown` does).
const computed = /^[ \u200b]*[=+\-@\t\r\n]/;
const safe = (text) => (computed.test(text) && !/^[-+]?[\d,.]+(e[-+]?\d+)?( %)?$/.test(text) ? `\u200b${text}` : text);
const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

// `rows` are arrays of text and numbers, the header first.
const csv = (rows) => rows.map((row) => row.map((cell) => quoted(typeof cell === "number" ? `${cell}` : safe(`${cell}`))).join(",")).join("\r\n") + "\r\n";
const tsv = (rows) => rows.map((row) => row.map((cell) => (typeof cell === "number" ? `${cell}` : safe(`${cell}`).replace(/[\t\r\n]/g, " "))).join("\t")).join("\n") + "\n";

const inXml = (text) => text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "").replace(/[<>&"]/g, (c) => `&#${c.charCodeAt(0)};`);

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
const crc32 = (bytes) => ~bytes.reduce((crc, byte) => CRC[(crc ^ byte) & 255] ^ (crc >>> 8), -1) >>> 0;

// A zip archive of [name, text] pairs, deflated.
async function zip(files) {
  const encoder = new TextEncoder(), parts = [], entries = [];
  let at = 0;
  for (const [name, text] of files) {
    const raw = encoder.encode(text), title = encoder.encode(name);
    const stream = new Blob([raw]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    const body = new Uint8Array(await new Response(stream).arrayBuffer());
    // version, flags (UTF-8), method, time, date (1980-01-01), CRC, sizes, length of name, of extra field
    const about = [[20, 2], [0x800, 2], [8, 2], [0, 2], [33, 2], [crc32(raw), 4], [body.length, 4], [raw.length, 4], [title.length, 2], [0, 2]];
    const local = numbers([[0x04034b50, 4], ...about]);
    entries.push(numbers([[0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]]), title);
    parts.push(local, title, body);
    at += local.length + title.length + body.length;
  }
  const size = entries.reduce((sum, part) => sum + part.length, 0);
  return [...parts, ...entries, numbers([[0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [size, 4], [at, 4], [0, 2]])];
}

function numbers(fields) {
  const bytes = [];
  for (const [value, width] of fields) for (let byte = 0; byte < width; byte++) bytes.push((value >>> (8 * byte)) & 255);
  return Uint8Array.from(bytes);
}

// The parts of an Excel workbook of one sheet, its first row set and bold.
function xlsx(rows, title) {
  const cell = (value) =>
    typeof value === "number" ? `<c><v>${value}</v></c>` : `<c t="inlineStr"><is><t xml:space="preserve">${inXml(`${value}`)}</t></is></c>`;
  const body = rows.map((row) => `<row>${row.map((value) => (value === "" ? "<c/>" : cell(value))).join("")}</row>`).join("");
  const head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
  const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships", parts = "http://schemas.openxmlformats.org/package/2006";
  const main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"', mime = "application/vnd.openxmlformats-officedocument.spreadsheetml";
  const sheet = inXml(title.replace(/[[\]*?:/\\']/g, " ").slice(0, 31).trim() || "genes");
  return zip([
    ["[Content_Types].xml", `${head}<Types xmlns="${parts}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="${mime}.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="${mime}.worksheet+xml"/></Types>`],
    ["_rels/.rels", `${head}<Relationships xmlns="${parts}/relationships"><Relationship Id="r1" Type="${office}/officeDocument" Target="xl/workbook.xml"/></Relationships>`],
    ["xl/workbook.xml", `${head}<workbook ${main} xmlns:r="${office}"><sheets><sheet name="${sheet}" sheetId="1" r:id="r1"/></sheets></workbook>`],
    ["xl/_rels/workbook.xml.rels", `${head}<Relationships xmlns="${parts}/relationships"><Relationship Id="r1" Type="${office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`],
    ["xl/worksheets/sheet1.xml", `${head}<worksheet ${main}><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>${body}</sheetData></worksheet>`],
  ]);
}

// A drawing as it stands alone: with colours, a background, and the fonts of the page.
function alone(svg) {
  const copy = svg.cloneNode(true), box = svg.viewBox.baseVal, style = getComputedStyle(svg);
  copy.querySelectorAll(".nd-ring").forEach((ring) => ring.remove());
  const back = getComputedStyle(document.body).backgroundColor;
  copy.querySelectorAll(".nd-halo").forEach((words) => Object.entries({ "paint-order": "stroke", stroke: back, "stroke-width": 3 }).forEach(([key, value]) => words.setAttribute(key, value)));
  copy.setAttribute("xmlns", SVG);
  copy.setAttribute("style", `color:${style.color};font-family:${style.fontFamily.replaceAll('"', "'")}`);
  copy.prepend(node("rect", { x: box.x, y: box.y, width: box.width, height: box.height, fill: back }));
  return new XMLSerializer().serializeToString(copy);
}

async function picture(svg, times = 3) {
  const image = new Image(), box = svg.viewBox.baseVal;
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(alone(svg))}`;
  await image.decode();
  const canvas = node("canvas", { width: box.width * times, height: box.height * times });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
