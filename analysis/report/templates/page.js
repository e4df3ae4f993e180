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
    const box = $("#filter-baselines");
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
          && (!("baseline" in data) || !box || box.checked)
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
    drawn.forEach(draw);
  }
  toggle.addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("alig-deepobs-theme", theme); } catch (error) { /* private window */ }
    showTheme();
  });
  system.addEventListener("change", showTheme);

  /* Charts: Plotly is read when the first one comes into view, and each is drawn then. */
  const data = JSON.parse($("#chart-data").textContent);
  const drawn = new Set();
  let plotly = null;
  function loadPlotly() {
    if (!plotly) {
      plotly = (async () => {
        const packed = Uint8Array.from(atob($("#plotly-source").textContent), (c) => c.charCodeAt(0));
        const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
        const script = document.createElement("script");
        script.textContent = await new Response(unpacked).text();
        document.head.append(script);
      })();
    }
    return plotly;
  }
  /* Plotly would write every digit beside a logarithmic axis. */
  function logTicks(values) {
    const known = values.filter((x) => x > 0), low = Math.min(...known), high = Math.max(...known);
    const decades = Math.log10(high / low), ticks = [];
    if (!(decades > 0.3)) return {};
    const steps = decades < 2.3 ? [1, 2, 5] : [1], every = Math.max(1, Math.ceil(decades / 6));
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      if (power % every === 0) steps.forEach((step) => ticks.push(Number(step + "e" + power)));
    }
    return { tickvals: ticks, ticktext: ticks.map(number) };
  }
  function axis(spec, ink, grid, values) {
    const found = { title: { text: spec.title || "", font: { size: 12 } }, gridcolor: grid, linecolor: ink, showline: true, zeroline: false, ticks: "outside", tickcolor: ink, ticklen: 4, automargin: true, tickfont: { size: 11 } };
    if (spec.log) Object.assign(found, { type: "log" }, logTicks(values));
    if (spec.range && spec.range.length) found.range = spec.range;
    return found;
  }
  function escaped(text) { return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); }
  function number(value) { return String(Number(Number(value).toPrecision(4))); }
  function traces(spec, ink) {
    const found = [];
    spec.series.forEach((line) => {
      const color = line.color === "#000000" ? ink : line.color, shape = spec.steps ? "hv" : "linear";
      if (line.lo.length) {
        found.push({ x: line.x.concat(line.x.slice().reverse()), y: line.hi.concat(line.lo.slice().reverse()), fill: "toself", fillcolor: color, opacity: 0.16, line: { width: 0, color: color }, mode: "lines", hoverinfo: "skip", showlegend: false });
      }
      const every = Math.max(1, Math.floor(line.x.length / 8));
      found.push({
        x: line.x, y: line.y, mode: "lines+markers", name: escaped(line.name), line: { color: color, dash: line.dash, width: 2, shape: shape },
        marker: { symbol: line.symbol, color: color, size: line.x.map((_, i) => (i % every ? 0.1 : 7)), line: { width: 0 } },
        text: line.x.map((_, i) => "<b>" + escaped(line.name) + "</b> " + number(line.y[i]) + (line.lo.length ? " [" + number(line.lo[i]) + ", " + number(line.hi[i]) + "]" : "") + (line.tip[i] ? "<br>" + line.tip[i] : "")),
        hovertemplate: "%{text}<extra></extra>"
      });
      if (line.ends.length) found.push({ x: line.ends.map((end) => end[0]), y: line.ends.map((end) => end[1]), mode: "markers", marker: { symbol: "x", size: 11, color: color }, text: line.ends.map(() => escaped(line.name) + ": a run diverged here"), hovertemplate: "%{text}<extra></extra>" });
    });
    return found;
  }
  function draw(figure) {
    const spec = data[figure.dataset.chart], style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), grid = style.getPropertyValue("--line").trim(), surface = style.getPropertyValue("--surface").trim();
    let target = $(".live-chart", figure);
    if (!target) {
      target = document.createElement("div");
      target.className = "live-chart";
      $(".picture", figure).append(target);
    }
    const failed = [];
    spec.series.forEach((line, row) => (line.failed || []).forEach((x) => failed.push({ x: spec.x.log ? Math.log10(x) : x, y: spec.failedAt ? 1 - 0.05 * row : 0.05 * row, yref: "paper", text: "×", showarrow: false, font: { size: 18, color: line.color === "#000000" ? ink : line.color }, hovertext: escaped(line.name) + ": a run did not finish at " + number(x) })));
    Plotly.react(target, traces(spec, ink), {
      margin: { l: 8, r: 12, t: 8, b: 8 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
      font: { family: getComputedStyle(document.body).fontFamily, color: ink, size: 12 }, showlegend: false, hovermode: "x unified", dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
      hoverlabel: { bgcolor: surface, bordercolor: grid, font: { color: ink, size: 12 }, align: "left" },
      xaxis: axis(spec.x, ink, grid, spec.series.flatMap((s) => s.x.concat(s.failed || []))),
      yaxis: axis(spec.y, ink, grid, spec.series.flatMap((s) => s.y.concat(s.lo, s.hi))), annotations: failed,
      shapes: spec.lines.map((y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: ink, width: 1, dash: "dash" } }))
    }, { displayModeBar: false, responsive: true, staticPlot: false, scrollZoom: false });
    figure.classList.add("live");
    drawn.add(figure);
  }
  const waiting = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      waiting.unobserve(entry.target);
      // Where this fails (an old browser), the picture stays.
      loadPlotly().then(() => draw(entry.target)).catch((error) => console.warn("charts stay pictures: " + error.message));
    });
  }, { rootMargin: "150px" });
  all("figure[data-chart]").forEach((figure) => waiting.observe(figure));
  showTheme();

  addEventListener("beforeprint", () => all("details").forEach((item) => { item.open = true; }));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
