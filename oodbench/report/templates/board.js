// Sorting and filtering of the leaderboard's tables. Everything is readable without it.
"use strict";
document.documentElement.classList.add("js");
(() => {
  const values = JSON.parse(document.getElementById("values").textContent);
  const sections = [...document.querySelectorAll("section[data-suite]")];
  const suite = document.getElementById("suite");
  const group = document.getElementById("group");
  const search = document.getElementById("search");
  const kinds = [...document.querySelectorAll("input[name=kind]")];
  const status = document.getElementById("status");
  const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";

  function key(row, column) {
    const cell = row.cells[column];
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "\u2013" || text === "" ? null : text.toLowerCase();
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return (a < b ? -1 : a > b ? 1 : 0) * direction;
    });
    body.append(...rows.map(([, row]) => row));
    for (const head of table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
    table.tHead.rows[0].cells[column].setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  }

  function score(table) {
    return [...table.tHead.rows[0].cells].findIndex((head) => head.classList.contains("score"));
  }

  // Write the chosen group's success into the score column, and sort by it.
  function show(section) {
    const table = section.querySelector("table");
    const column = score(table);
    const chosen = group.value;
    const words = group.selectedOptions[0].textContent;
    const button = table.tHead.rows[0].cells[column].querySelector("button");
    button.dataset.words ??= button.textContent;
    button.textContent = chosen === "all" ? button.dataset.words : "success: " + words;
    for (const row of table.tBodies[0].rows) {
      const cell = row.cells[column];
      const found = values[section.dataset.suite][row.dataset.name][chosen];
      cell.replaceChildren();
      delete cell.dataset.value;
      if (!found || found[0] === null) {
        cell.textContent = "\u2013";
        continue;
      }
      const [value, low, high, n] = found;
      cell.dataset.value = value;
      const main = document.createElement("b");
      main.textContent = percent(value);
      const sure = document.createElement("span");
      sure.className = "ci";
      sure.textContent = (low === null ? "few scenes" : (100 * low).toFixed(0) + " to " + (100 * high).toFixed(0)) + ", n " + n;
      cell.append(main, sure, plot(value, low, high));
    }
    sort(table, column, -1);
  }

  function plot(value, low, high) {
    const span = document.createElement("span");
    span.className = "dot-plot";
    span.style.setProperty("--at", value);
    if (low !== null) {
      span.style.setProperty("--low", low);
      span.style.setProperty("--high", high);
    }
    return span;
  }

  function filter() {
    const wanted = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
    const part = search.value.trim().toLowerCase();
    let shown = 0;
    for (const section of sections) {
      section.hidden = suite.value !== "" && section.dataset.suite !== suite.value;
      for (const row of section.querySelectorAll("tbody tr")) {
        const kind = row.dataset.kind;
        row.hidden = kind !== "control" && (!wanted.has(kind) || !row.dataset.name.toLowerCase().includes(part));
        shown += !section.hidden && !row.hidden;
      }
    }
    for (const options of group.querySelectorAll("optgroup")) {
      options.hidden = options.disabled = suite.value !== "" && options.dataset.suite !== suite.value;
    }
    status.textContent = shown + (shown === 1 ? " row" : " rows");
  }

  for (const section of sections) {
    const table = section.querySelector("table");
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const first = head.classList.contains("num") ? -1 : 1;
        const before = head.getAttribute("aria-sort");
        sort(table, column, before === null ? first : before === "ascending" ? -1 : 1);
      });
    });
    table.tHead.rows[0].cells[score(table)].setAttribute("aria-sort", "descending");
  }
  group.addEventListener("change", () => sections.forEach(show));
  suite.addEventListener("change", () => {
    filter();
    if (group.selectedOptions[0]?.parentElement.disabled) {
      group.value = "all";
      sections.forEach(show);
    }
  });
  for (const box of kinds) box.addEventListener("change", filter);
  search.addEventListener("input", filter);
  filter();
})();
