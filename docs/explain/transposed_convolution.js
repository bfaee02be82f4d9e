// Transposed convolution: every input stamps the kernel, and overlapping stamps add up (lesson 4).
(function () {
  "use strict";
  const { h, s, number } = explain;
  const INPUTS = 5;

  // `output[i * stride + a][j * stride + b] += input[i][j] * kernel[a][b]`, without padding.
  function compute(input, kernel, stride) {
    const size = (values, taps) => (values.length - 1) * stride + taps.length;
    const output = Array.from({ length: size(input, kernel) }, () =>
      new Array(size(input[0], kernel[0])).fill(0));
    input.forEach((row, i) => row.forEach((x, j) => {
      kernel.forEach((taps, a) => taps.forEach((weight, b) => {
        output[i * stride + a][j * stride + b] += x * weight;
      }));
    }));
    return output;
  }

  // The weights of one row; the kernel is their outer product.
  function weightsOf(kind, size) {
    const half = Math.floor((size + 1) / 2);
    const middle = size % 2 ? half - 1 : half - 0.5;
    return Array.from({ length: size }, (_, i) => {
      if (kind === "tent") return 1 - Math.abs(i - middle) / half;
      return kind === "ones" ? 1 : [0.6, 1.4, 0.9, 1.2, 0.5, 1.3][i];
    });
  }
  const outer = (row) => row.map((x) => row.map((y) => x * y));

  // Away from the border, the sum of the weights that reach output `p`, `p + stride`, ...
  const sums = (weights, stride) =>
    Array.from({ length: stride }, (_, phase) =>
      weights.reduce((sum, weight, i) => sum + (i % stride === phase ? weight : 0), 0));

  function mount(place) {
    const state = { kernel: 3, stride: 2, kind: "ones", selected: [4, 4] };
    const change = (next) => {
      Object.assign(state, next);
      const last = (INPUTS - 1) * state.stride + state.kernel - 1;
      state.selected = state.selected.map((x) => Math.min(x, last));
      kernel.set(state.kernel);
      stride.set(state.stride);
      redraw();
    };
    const kernel = explain.slider({
      label: "kernel", min: 1, max: 6, value: state.kernel,
      onchange: (value) => change({ kernel: value }),
    });
    const stride = explain.slider({
      label: "stride", min: 1, max: 4, value: state.stride,
      onchange: (value) => change({ stride: value }),
    });
    const kind = explain.choice({
      label: "weights", value: state.kind,
      options: [["ones", "ones"], ["tent", "tent"], ["uneven", "uneven"]],
      onchange: (value) => change({ kind: value }),
    });
    const drawing = s("svg", { role: "img", class: "explain-stamps" });
    const map = explain.grid("All rows and columns: what a flat input becomes", {
      name: "output for an input of ones",
      onselect: (row, column) => change({ selected: [row, column] }),
    });
    const says = explain.layout(place, {
      title: "Try it: a transposed convolution stamps its kernel",
      controls: [kernel.element, stride.element, kind.element],
      panels: [
        explain.panel("One row: five inputs stamp, overlaps add up", drawing),
        map.element,
      ],
      notes: [
        ["Try", "Drag the two round handles, or move the sliders: kernel 3 and stride 2, then kernel "
          + "4 and stride 2. Click a cell of the map to see which stamps reach it."],
        ["Notice", "Where the stride divides the kernel, every output away from the border gets "
          + "equally many stamps. Otherwise the counts make a checkerboard."],
        ["Then", "choose uneven weights with kernel 4 and stride 2. The counts are even, the sums "
          + "are not. A tent of kernel 4 is bilinear interpolation: flat stays flat."],
      ],
    });
    const redraw = explain.watch(place, draw);
    dragHandles();

    function draw(width) {
      const weights = weightsOf(state.kind, state.kernel);
      const ones = [new Array(INPUTS).fill(1)];
      const row = compute(ones, [weights], state.stride)[0];
      const output = compute(outer(ones[0]), outer(weights), state.stride);
      const unit = Math.min(28, Math.floor((Math.min(width, 380) - 40) / row.length));
      drawStamps(weights, row, unit);
      const largest = Math.max(...output.flat());
      map.draw({
        values: output, cell: unit, digits: 1, selected: state.selected,
        fills: (r, c) => [explain.colour(0), (0.75 * output[r][c]) / largest],
      });
      speak(weights, output);
    }

    // Inputs above, one line for each stamp, and below what they add up to.
    function drawStamps(weights, row, unit) {
      const LINE = 18;
      const most = Math.ceil(state.kernel / state.stride) * Math.max(...weights);
      const bar = 76 / Math.max(most, 2);
      const top = 34;
      const floor = top + INPUTS * LINE + 14 + bar * most;
      const parts = [];
      const heights = new Array(row.length).fill(0);
      for (let i = 0; i < INPUTS; i += 1) {
        const left = i * state.stride;
        const middle = (left + state.kernel / 2) * unit;
        const y = top + i * LINE;
        const style = explain.tint(explain.colour(i), 0.7);
        parts.push(
          s("line", { x1: middle, x2: middle, y1: 20, y2: y, stroke: explain.colour(i), "stroke-dasharray": "2 3" }),
          s("rect", { class: "explain-cell", x: middle - 10, y: 0, width: 20, height: 20, style }),
          s("text", { x: middle, y: 10, "font-size": 12 }, "1"),
        );
        weights.forEach((weight, tap) => {
          const x = (left + tap) * unit;
          parts.push(s("rect", { class: "explain-cell", x, y, width: unit, height: LINE - 4, style }));
          if (unit >= 22) {
            parts.push(s("text", { x: x + unit / 2, y: y + LINE / 2 - 2, "font-size": 11 }, number(weight, 1)));
          }
          const height = weight * bar;
          heights[left + tap] += height;
          parts.push(s("rect", {
            class: "explain-cell", x, y: floor - heights[left + tap], width: unit, height, style,
          }));
        });
      }
      row.forEach((sum, x) => parts.push(s("text", {
        x: (x + 0.5) * unit, y: floor + 11, "font-size": unit < 20 ? 9 : 12, "data-sum": number(sum, 1),
        visibility: unit < 18 && state.kind !== "ones" ? "hidden" : null,
        "font-weight": x === state.selected[1] ? 700 : null,
      }, number(sum, 1))));
      parts.push(s("rect", {
        class: "explain-selected", x: state.selected[1] * unit, y: top - 6,
        width: unit, height: floor - top + 26,
      }));
      parts.push(
        handle("kernel", state.kernel * unit, top + 7, "drag to change the kernel"),
        handle("stride", state.stride * unit, top + LINE + 7, "drag to change the stride"),
      );
      const width = row.length * unit;
      drawing.setAttribute("viewBox", `-14 -4 ${width + 28} ${floor + 30}`);
      drawing.setAttribute("width", width + 28);
      drawing.setAttribute("height", floor + 30);
      drawing.setAttribute("data-unit", unit);
      drawing.setAttribute("aria-label",
        `one row: ${INPUTS} stamps of ${state.kernel}, ${state.stride} apart, add up to `
        + row.map((x) => number(x, 1)).join(", "));
      drawing.replaceChildren(...parts);
    }

    function handle(name, x, y, title) {
      return s("g", { class: "explain-handle", "data-handle": name, "aria-hidden": "true" },
        s("title", {}, title),
        s("circle", { cx: x, cy: y, r: 14, fill: "transparent" }),
        s("circle", {
          cx: x, cy: y, r: 6, style: "fill: var(--explain-page); stroke: var(--explain-text); stroke-width: 2.5",
        }));
    }

    // The drawing is made anew while a handle moves, so the whole drawing listens.
    function dragHandles() {
      let held;
      explain.onDrag(drawing, (x) => {
        const unit = Number(drawing.dataset.unit);
        const scale = drawing.viewBox.baseVal.width / drawing.getBoundingClientRect().width;
        const value = Math.round((x * scale - 14) / unit);
        const most = held === "kernel" ? 6 : 4;
        const next = explain.clamp(value, 1, most);
        if (next !== state[held]) change({ [held]: next });
      }, {
        begin: (event) => {
          const target = event.target.closest("[data-handle]");
          held = target && target.dataset.handle;
          return Boolean(held);
        },
      });
    }

    function speak(weights, output) {
      const along = sums(weights, state.stride);
      const all = [...new Set(outer(along).flat().map((x) => number(x)))].sort((a, b) => a - b);
      const listed = all.length > 4 ? `from ${all[0]} to ${all[all.length - 1]}`
        : all.join(", ").replace(/, ([^,]*)$/, " or $1");
      const even = state.kernel % state.stride === 0;
      const flat = all.length === 1;
      const what = state.kind !== "ones" ? "as the sum of its weights" : flat && all[0] === "1" ? "stamp" : "stamps";
      const [row, column] = state.selected;
      const reaching = (x) => Array.from({ length: INPUTS }, (_, i) => i).filter((i) =>
        i * state.stride <= x && x < i * state.stride + state.kernel).length;
      const [rows, columns] = [reaching(row), reaching(column)];
      says.replaceChildren(
        h("span", { "data-says": "verdict" },
          `Kernel ${state.kernel}, stride ${state.stride}: the stride ${even ? "divides" : "does not divide"} `
          + `the kernel. Away from the border every output gets ${listed} ${what}`
          + `${flat ? ": flat stays flat." : ": a checkerboard."}`),
        " ",
        h("span", { "data-says": "cell" },
          `Output (row ${row}, column ${column}) = ${number(output[row][column])}, of ${rows * columns} `
          + `stamps: ${rows} rows × ${columns} columns of the input.`),
      );
    }
  }

  explain.register("transposed_convolution", mount, { compute, weightsOf, sums });
})();
