"use strict";
(function () {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const status = $("#shown");

  /* Sorting: a button in every heading; the rows of a table are its tbody elements. */
  function keyOf(body, column) {
    const cell = body.rows[0].cells[column];
    const text = cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const number = Number(text.replace(/[ %=,].*$/, ""));
    return Number.isNaN(number) ? text.toLowerCase() : number;
  }
  function sortBy(table, heading) {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    all("thead th", table).forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    const bodies = Array.from(table.tBodies).map((body, place) => [keyOf(body, heading.cellIndex), place, body]);
    bodies.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // missing: last
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      return (a < b ? -sign : a > b ? sign : 0) || i - j;
    });
    bodies.forEach(([, , body]) => table.append(body));
  }
  all("table.sortable").forEach((table) => {
    all("thead th", table).forEach((heading) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.textContent = "";
      heading.append(button);
      heading.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortBy(table, heading));
    });
  });

  /* Filters: what a row must have is in its data attributes. */
  const form = $("#filters");
  const value = (name) => { const field = $("#filter-" + name); return field ? field.value : ""; };
  function filter() {
    const words = value("text").toLowerCase().split(/\s+/).filter(Boolean);
    const [problem, optimizer, framework, outcome] = ["problem", "optimizer", "framework", "outcome"].map(value);
    let shown = 0, total = 0;
    all("section.problem").forEach((section) => {
      const here = !problem || section.dataset.problem === problem;
      let rows = 0;
      all("tbody.row", section).forEach((row) => {
        const data = row.dataset, name = data.optimizer;
        const fits = here
          && (!optimizer || name === optimizer || name.startsWith(optimizer + " ("))
          && (!framework || data.framework === framework)
          && (!outcome || data.outcomes.split(" ").includes(outcome))
          && words.every((word) => data.search.includes(word) || section.dataset.problem.includes(word));
        row.hidden = !fits;
        total += 1;
        rows += fits;
      });
      shown += rows;
      section.hidden = !here || rows === 0;
    });
    status.textContent = "Showing " + shown + " of " + total + " rows";
  }
  if (form) {
    form.addEventListener("input", filter);
    form.addEventListener("reset", () => setTimeout(filter));
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  /* Copy buttons. */
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy");
    if (!button) return;
    const code = $("code", button.parentElement);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch (error) { // no clipboard for this page: select it, so that one key copies it
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  /* Light and dark. */
  const toggle = $("#theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  function showTheme() {
    toggle.textContent = dark() ? "Light" : "Dark";
    toggle.setAttribute("aria-label", "Switch to " + (dark() ? "light" : "dark") + " colours");
    toggle.setAttribute("aria-pressed", String(dark()));
  }
  toggle.addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("alig-deepobs-theme", theme); } catch (error) { /* private window */ }
    showTheme();
  });
  system.addEventListener("change", showTheme);

  /* A name in a legend hides and shows the lines of its optimizer, in its section. */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-hides]");
    if (!button) return;
    const hide = button.getAttribute("aria-pressed") === "true";
    button.setAttribute("aria-pressed", String(!hide));
    all("[data-series='" + button.dataset.hides + "']", button.closest("section"))
      .forEach((part) => part.classList.toggle("off", hide));
  });
  showTheme();

  addEventListener("beforeprint", () => all("details").forEach((item) => { item.open = true; }));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
