"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const state = { dataset: data.datasets[0], exhibit: null, crop: { x: 0, y: 0 } };

  function make(tag, properties = {}, children = []) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (key in element) element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }

  function choices(box, labels, choose) {
    const buttons = labels.map((label, index) =>
      make("button", { type: "button", textContent: label, onclick: () => pick(index) }));
    function pick(index) {
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === index)));
      choose(index);
    }
    box.replaceChildren(...buttons);
    if (buttons.length) pick(0);
  }

  function options(select, labels, chosen) {
    select.replaceChildren(...labels.map((label, index) => make("option", { value: index, textContent: label })));
    select.value = chosen;
  }

  const digits = (key) => state.dataset.columns.find((column) => column.key === key).digits;
  function shown(value, key) {
    if (value === null || value === undefined) return "–";
    return Math.abs(value) >= 1e9 ? "∞" : value.toFixed(digits(key));
  }

  // --- tables ---------------------------------------------------------------------------------------------------

  // headings whose buttons sort; each row is {values, element: its tbody}; missing values stay last
  function sortable(table, titles, rows, better) {
    let current = null;
    function order(index) {
      const again = current && current.index === index;
      const first = better[index] === "higher" ? -1 : 1;
      current = { index, sign: again ? -current.sign : first };
      const sorted = [...rows].sort((a, b) => {
        const [x, y] = [a.values[index], b.values[index]];
        if (x === null || y === null) return (x === null) - (y === null);
        return current.sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
      });
      heads.forEach((head, i) => {
        if (i === index) head.setAttribute("aria-sort", current.sign > 0 ? "ascending" : "descending");
        else head.removeAttribute("aria-sort");
      });
      table.append(...sorted.map((row) => row.element));
    }
    const heads = titles.map((title, index) => make("th", { scope: "col" },
      [make("button", { type: "button", textContent: title, onclick: () => order(index) })]));
    table.replaceChildren(make("thead", {}, [make("tr", {}, heads)]), ...rows.map((row) => row.element));
  }

  function bestOf(rows, index, better) {
    const values = rows.map((row) => row[index]).filter((value) => value !== null && value !== undefined);
    if (values.length < 2) return null;
    return better === "higher" ? Math.max(...values) : Math.min(...values);
  }

  function showTable() {
    const { columns, rows, pictures } = state.dataset;
    const compared = rows.slice(1).filter((row) => !row.failed).map((row) => row.cells.map((cell) => cell[0]));
    const best = columns.map((column, index) => bestOf(compared, index, column.better));
    at("count").textContent = `Means over ${pictures} of ${state.dataset.name}; `
      + "click a heading to sort. The best entry of each column is green.";
    const lines = rows.map((row, number) => {
      const name = make("th", { scope: "row" }, [row.entry]);
      if (row.arch && row.arch !== row.entry) name.append(make("span", { className: "arch", textContent: row.arch }));
      const cells = row.cells.map(([value, text], index) => make("td", {
        textContent: text, className: number > 0 && !row.failed && value !== null && value === best[index] ? "best" : "" }));
      const element = make("tbody", { className: number ? (row.failed ? "failed" : "") : "base" }, [make("tr", {}, [name, ...cells])]);
      if (row.remark) {
        name.rowSpan = 2;
        element.append(make("tr", {}, [make("td", { className: "remark", colSpan: cells.length },
          [make("span", { textContent: row.remark })])]));
      }
      return { values: [row.entry, ...row.cells.map((cell) => cell[0])], element };
    });
    sortable(at("table"), ["entry", ...columns.map((column) => column.title)], lines,
      ["lower", ...columns.map((column) => column.better)]);
  }

  function showPaper() {
    const { paper } = state.dataset;
    at("s-paper").hidden = !paper;
    if (!paper) return;
    const head = ["method", "PSNR", "SSIM", "MSE"].map((title) => make("th", { scope: "col", textContent: title }));
    const body = paper.rows.map(([method, ...scores]) => make("tr", {},
      [make("th", { scope: "row", textContent: method }), ...scores.map((text) => make("td", { textContent: text }))]));
    at("paper").replaceChildren(make("thead", {}, [make("tr", {}, head)]), make("tbody", {}, body));
    at("h-paper").textContent = `What the paper reports for ${paper.dataset}`;
    at("whose").textContent = paper.whose;
  }

  function showScores() {
    const { scores, metrics, columns, rows, exhibits } = state.dataset;
    at("s-scores").hidden = !metrics.length;
    if (!metrics.length) return;
    const index = Number(at("metric").value);
    const { better } = columns.find((column) => column.key === metrics[index]);
    const entries = rows.map((row) => row.entry).filter((entry) => scores.some((line) => entry in line.entries));
    const lines = scores.map((line) => {
      const values = entries.map((entry) => (line.entries[entry] || [])[index] ?? null);
      const best = bestOf([...values.slice(1)].map((value) => [value]), 0, better);
      const number = exhibits.findIndex((exhibit) => exhibit.picture === line.picture);
      const name = number < 0 ? line.picture : make("button", { type: "button", textContent: line.picture,
        title: "look at it", onclick: () => { at("picture").value = number; showExhibit(); at("h-viewer").scrollIntoView(); } });
      const cells = values.map((value, i) => make("td", { textContent: shown(value, metrics[index]),
        className: i > 0 && value !== null && value === best ? "best" : "" }));
      return { values: [line.picture, ...values], element: make("tbody", {}, [make("tr", {}, [make("th", { scope: "row" }, [name]), ...cells])]) };
    });
    sortable(at("scores"), ["picture", ...entries], lines, ["lower", ...entries.map(() => better)]);
  }

  // --- plots ----------------------------------------------------------------------------------------------------

  function showPlots() {
    const { plots } = state.dataset;
    at("s-plots").hidden = !plots.length;
    choices(at("plot-choice"), plots.map((plot) => plot.title), (index) => { at("plot").innerHTML = plots[index].svg; });
  }

  // --- viewer ---------------------------------------------------------------------------------------------------

  const split = () => Number(at("slider").value) / 10;

  function showSplit() {
    at("stage").style.setProperty("--split", `${split()}%`);
    const [left, right] = [at("left"), at("right")].map((select) => state.exhibit.versions[select.value][0]);
    at("slider").setAttribute("aria-valuetext", `${Math.round(split())} % ${left}, the rest ${right}`);
  }

  function showSides() {
    for (const side of ["left", "right"]) {
      const [name, source] = state.exhibit.versions[at(side).value];
      at(`image-${side}`).src = source;
      at(`image-${side}`).alt = name;
      at(`tag-${side}`).textContent = name;
    }
    showSplit();
  }

  function showExhibit() {
    const exhibit = state.dataset.exhibits[Number(at("picture").value)];
    state.exhibit = exhibit;
    const names = exhibit.versions.map((version) => version[0]);
    const kept = ["left", "right"].map((side) => names.indexOf(at(side).selectedOptions[0]?.textContent));
    const last = names.length - 1;
    options(at("left"), names, kept[0] < 0 ? 0 : kept[0]);
    options(at("right"), names, kept[1] < 0 ? Math.min(1, last) : kept[1]);
    const stage = at("stage");
    stage.style.aspectRatio = `${exhibit.width} / ${exhibit.height}`;
    stage.style.maxWidth = `min(100%, ${exhibit.width}px, calc(80vh * ${exhibit.width / exhibit.height}))`;
    const line = state.dataset.scores.find((scores) => scores.picture === exhibit.picture);
    const metrics = state.dataset.metrics;
    at("crops").replaceChildren(...exhibit.versions.map(([name, source]) => {
      const canvas = make("canvas", { width: exhibit.cropSize, height: exhibit.cropSize, role: "img" });
      canvas.setAttribute("aria-label", `crop of ${name}`);
      const image = new Image();
      image.onload = () => { canvas.source = image; drawCrop(canvas); };
      image.src = source;
      const scores = (line && line.entries[name]) || [];
      const text = metrics.slice(0, 2).map((metric, i) => `${metric} ${shown(scores[i], metric)}`).join(", ");
      return make("figure", {}, [canvas, make("figcaption", {},
        [make("b", { textContent: name }), make("span", { textContent: scores.length ? text : "" })])]);
    }));
    choices(at("places"), exhibit.crops.map((_, index) => `crop ${index + 1}`), (index) => moveCrop(...exhibit.crops[index]));
    showSides();
  }

  function drawCrop(canvas) {
    if (!canvas.source) return;
    const size = state.exhibit.cropSize;
    canvas.getContext("2d").drawImage(canvas.source, state.crop.x, state.crop.y, size, size, 0, 0, size, size);
  }

  function moveCrop(x, y) {
    const { width, height, cropSize } = state.exhibit;
    const inside = (value, room) => Math.round(Math.min(Math.max(value, 0), room));
    state.crop = { x: inside(x, width - cropSize), y: inside(y, height - cropSize) };
    const frame = at("frame").style;
    frame.left = `${100 * state.crop.x / width}%`;
    frame.top = `${100 * state.crop.y / height}%`;
    frame.width = `${100 * cropSize / width}%`;
    frame.height = `${100 * cropSize / height}%`;
    at("crops").querySelectorAll("canvas").forEach(drawCrop);
  }

  let pressed = null;
  at("slider").addEventListener("input", showSplit);
  at("slider").addEventListener("pointerdown", (event) => { pressed = { x: event.clientX, y: event.clientY }; });
  at("slider").addEventListener("pointerup", (event) => {
    if (!pressed || Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > 6) return;
    const box = at("stage").getBoundingClientRect();
    const { width, height, cropSize } = state.exhibit;
    at("places").querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", "false"));
    moveCrop((event.clientX - box.left) / box.width * width - cropSize / 2,
      (event.clientY - box.top) / box.height * height - cropSize / 2);
  });
  at("slider").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    if (event.shiftKey) moveCrop(state.crop.x + 8 * step[0], state.crop.y + 8 * step[1]);
    else at("slider").value = Number(at("slider").value) + 20 * (step[0] - step[1]);
    showSplit();
  });
  for (const side of ["left", "right"]) at(side).addEventListener("change", showSides);
  at("picture").addEventListener("change", showExhibit);
  at("metric").addEventListener("change", showScores);

  // --- start ----------------------------------------------------------------------------------------------------

  function showDataset(index) {
    state.dataset = data.datasets[index];
    const { exhibits, metrics } = state.dataset;
    showTable();
    showPaper();
    showPlots();
    options(at("metric"), metrics, 0);
    showScores();
    at("s-viewer").hidden = !exhibits.length;
    options(at("picture"), exhibits.map((exhibit) => exhibit.picture), 0);
    if (exhibits.length) showExhibit();
  }

  choices(at("datasets"), data.datasets.map((dataset) => dataset.name), showDataset);
  at("notes").replaceChildren(...data.notes.map((text) => make("p", { textContent: text })));
})();
