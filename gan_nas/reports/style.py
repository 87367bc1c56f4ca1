"""How a report looks, on a screen of any width and in print, and how its tables are sorted."""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem 1.2rem 3rem; background: #fff;
  color: #1a1a1a; font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: .5rem 0; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid #0072b2; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
p, dl, pre { margin: .5rem 0; }
nav a { margin-right: 1rem; }
a { color: #005a8c; }
a:focus-visible, th button:focus-visible, .wide:focus-visible { outline: 3px solid #e69f00; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem 1rem; }
dt { color: #555; }
dd { margin: 0; }
pre, code { font: .85rem/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { background: #f4f4f4; padding: .6rem .8rem; white-space: pre-wrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; }
caption { text-align: left; color: #555; padding-bottom: .2rem; }
td.t { min-width: 20rem; overflow-wrap: anywhere; }
th, td { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top;
  overflow-wrap: normal; }
th { border-bottom: 1px solid #1a1a1a; }
td { border-bottom: 1px solid #ddd; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
th button { all: unset; white-space: nowrap; cursor: pointer; font: inherit; font-weight: bold; }
th button::after { content: " \\2195"; color: #888; }
th[aria-sort=ascending] button::after { content: " \\2191"; color: #1a1a1a; }
th[aria-sort=descending] button::after { content: " \\2193"; color: #1a1a1a; }
figure { margin: .8rem 0; }
figure img { max-width: 100%; height: auto; }
.chart { overflow-x: auto; }
.chart img { min-width: 38rem; }
figcaption { color: #555; font-size: .88rem; }
.grids { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
.grids figure { margin: 0; }
.grids img { image-rendering: pixelated; }
.note { border-left: 4px solid #d55e00; padding-left: .7rem; }
.lead { border-left-color: #0072b2; }
@media (max-width: 30rem) {
  body { padding: .6rem .7rem 2rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .35rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  .wide, .chart { overflow: visible; }
  .chart img { min-width: 0; }
  .wide svg { max-width: 100%; max-height: 23cm; height: auto; }
  table { font-size: 8pt; }
  td.t { min-width: 0; }
  tr, figure, dl { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  pre { border: 1px solid #bbb; }
  th button::after { content: none !important; }
}
"""

SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map(row => {
        const cell = row.cells[column];
        const key = cell.dataset.key;
        return { row, number: key === undefined ? NaN : Number(key), text: cell.textContent };
      });
      rows.sort((a, b) => {
        const [x, y] = [Number.isNaN(a.number), Number.isNaN(b.number)];
        if (x !== y) return x ? 1 : -1;
        const order = x ? a.text.localeCompare(b.text) : a.number - b.number;
        return down ? -order : order;
      });
      body.append(...rows.map(one => one.row));
    });
  });
}
"""
