// Max pooling with positions, max unpooling, and copying beside it (lesson 5).
(function () {
  "use strict";
  const { h, number } = explain;

  // Windows of `size` x `size` side by side. "valid": those inside the map. "same": they cover the
  // map and reach beyond it, the smaller half in front. A position counts row by row from the start
  // of its window; the first of equal values is the maximum; what lies outside never is.
  function compute(input, size, padding) {
    const along = (length) => {
      const count = padding === "same" ? Math.ceil(length / size) : Math.floor(length / size);
      const front = padding === "same" ? Math.floor((count * size - length) / 2) : 0;
      return { length, starts: Array.from({ length: count }, (_, i) => i * size - front) };
    };
    const rows = along(input.length);
    const columns = along(input[0].length);
    const windows = rows.starts.map((top) => columns.starts.map((left) =>
      look(input, top, left, size)));
    const unpooled = input.map((row) => row.map(() => 0));
    for (const { at, value } of windows.flat()) unpooled[at[0]][at[1]] = value;
    const pooled = windows.map((row) => row.map(({ value }) => value));
    return {
      windows,
      pooled,
      mask: windows.map((row) => row.map(({ position }) => position)),
      unpooled,
      copied: pooled.flatMap((row) =>
        Array.from({ length: size }, () => row.flatMap((x) => new Array(size).fill(x)))),
    };
  }

  function look(input, top, left, size) {
    const found = { top, left, values: [], value: -Infinity, position: null, at: null };
    for (let position = 0; position < size * size; position += 1) {
      const row = top + Math.floor(position / size);
      const column = left + (position % size);
      const value = (input[row] || [])[column];
      if (value === undefined) continue;
      found.values.push(value);
      if (value > found.value) Object.assign(found, { value, position, at: [row, column] });
    }
    return found;
  }

  const EXAMPLES = {
    "4 × 6": [[0, 7, 0, 2, 3, 1], [0, 9, 0, 0, 3, 2], [0, 8, 4, 4, 0, -1], [0, 5, 1, 4, -3, -2]],
    "5 × 7": [
      [1, 4, 2, 0, 3, 6, 0], [5, 2, 2, 8, 1, 0, 7], [0, 3, 9, 1, 4, 4, 2],
      [6, 0, 1, 5, 2, 8, 1], [2, 7, 3, 0, 6, 1, 5],
    ],
  };

  function mount(place) {
    const copy = (name) => EXAMPLES[name].map((row) => [...row]);
    const state = { example: "4 × 6", size: 2, padding: "valid", selected: [1, 1], window: 0 };
    state.input = copy(state.example);

    const example = explain.choice({
      label: "map", options: Object.keys(EXAMPLES).map((x) => [x, x]), value: state.example,
      onchange: (value) => change({ example: value, input: copy(value), selected: [0, 0], window: 0 }),
    });
    const size = explain.choice({
      label: "window", options: [["2", "2 × 2"], ["3", "3 × 3"]], value: "2",
      onchange: (value) => change({ size: Number(value), window: 0 }),
    });
    const padding = explain.choice({
      label: "padding", options: [["valid", "valid"], ["same", "same"]], value: state.padding,
      onchange: (value) => change({ padding: value, window: 0 }),
    });
    const step = explain.slider({
      label: "step through the windows", min: 1, max: 6, value: 1,
      onchange: (value) => change({ window: value - 1 }),
    });
    const value = h("output", {});
    const edit = (by) => write(state.input[state.selected[0]][state.selected[1]] + by);
    const editing = h("span", { class: "explain-buttons" }, "selected number",
      explain.button("−", () => edit(-1), "decrease the selected number"), value,
      explain.button("+", () => edit(1), "increase the selected number"));

    const input = explain.grid("map", {
      name: "map, editable: arrow keys move, digits and plus and minus change the number",
      onselect: (row, column) => {
        const at = windowOf(row, column);
        change({ selected: [row, column], ...(at === -1 ? {} : { window: at }) });
      },
      onkey: (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (/^[0-9]$/.test(event.key)) write(Number(event.key));
        else if (event.key === "+") edit(1);
        else if (event.key === "-") edit(-1);
        else return;
        event.preventDefault();
      },
    });
    const grids = {
      pooled: explain.grid("pooled map", { name: "pooled map" }),
      mask: explain.grid("mask"),
      unpooled: explain.grid("max unpooling"),
      copied: explain.grid("average unpooling: copies", { name: "copied" }),
    };
    const says = explain.layout(place, {
      title: "Try it: pooling, and two ways back",
      controls: [example.element, size.element, padding.element, step.element, editing],
      panels: [
        input.element, grids.pooled.element, grids.mask.element, h("div", { class: "explain-break" }),
        grids.unpooled.element, grids.copied.element,
      ],
      notes: [
        ["Try", "Select a number and type another digit, or use + and −. Make it the largest of its "
          + "window, then equal to the largest, then make a whole window negative."],
        ["Notice", "The mask holds the position in the window, counted row by row from 0; of equal "
          + "values the first counts. Max unpooling puts each value back to its place and leaves "
          + "zeros; copying (average unpooling) needs no mask and fills the whole window."],
        ["Then", "take the map of 5 × 7: with “valid” padding the last row and column are in no "
          + "window and nothing of them comes back. With “same” some windows reach beyond the map."],
      ],
    });
    let result = compute(state.input, state.size, state.padding);
    const redraw = explain.watch(place, draw);

    function write(changed) {
      const [row, column] = state.selected;
      state.input[row][column] = explain.clamp(changed, -99, 99);
      change({});
    }
    function change(next) {
      Object.assign(state, next);
      result = compute(state.input, state.size, state.padding);
      redraw();
    }
    function windowOf(row, column) {
      return result.windows.flat().findIndex(({ top, left }) =>
        row >= top && row < top + state.size && column >= left && column < left + state.size);
    }

    function draw(width) {
      const { windows, pooled } = result;
      const n = state.size;
      const list = windows.flat();
      const columns = pooled[0].length;
      const cell = Math.min(38, Math.floor((width - 6) / 8));
      step.limit(list.length);
      step.set(state.window + 1);
      value.textContent = number(state.input[state.selected[0]][state.selected[1]]);

      const current = list[state.window];
      const tint = (i, marked) => [explain.colour(i), marked ? 0.7 : i === state.window ? 0.3 : 0.14];
      const isAt = ({ at }, row, column) => at[0] === row && at[1] === column;
      const inMap = (row, column) => {
        const i = windowOf(row, column);
        return i === -1 ? null : tint(i, isAt(list[i], row, column));
      };
      const framed = ({ top, left }, i, map) => {
        const [bottom, right] = [top + state.size, left + state.size].map((end, axis) =>
          Math.min(end, axis ? map[0].length : map.length));
        const [row, column] = [Math.max(top, 0), Math.max(left, 0)];
        return {
          row, column, height: bottom - row, width: right - column, colour: explain.colour(i),
          thick: i === state.window,
        };
      };
      const last = (frames) => [...frames.filter((x) => !x.thick), ...frames.filter((x) => x.thick)];
      const frames = last(list.map((x, i) => framed(x, i, state.input)));
      input.draw({ values: state.input, cell, selected: state.selected, fills: inMap, frames });
      grids.unpooled.draw({ values: result.unpooled, cell, fills: inMap, frames });

      const cells = last(list.map((_, i) => ({
        row: Math.floor(i / columns), column: i % columns, height: 1, width: 1,
        colour: explain.colour(i), thick: i === state.window,
      })));
      for (const name of ["pooled", "mask"]) {
        grids[name].draw({
          values: result[name], cell, frames: cells,
          fills: (row, column) => tint(row * columns + column, name === "pooled"),
        });
      }
      grids.copied.draw({
        values: result.copied, cell,
        fills: (row, column) =>
          tint(Math.floor(row / n) * columns + Math.floor(column / n), true),
        frames: last(list.map((_, i) => framed({
          top: n * Math.floor(i / columns), left: n * (i % columns),
        }, i, result.copied))),
      });
      says.textContent = sentence(current, list.length);
    }

    function sentence(current, count) {
      const largest = current.values.filter((x) => x === current.value).length;
      const [row, column] = current.at;
      return `Window ${state.window + 1} of ${count} holds ${current.values.map((x) => number(x)).join(", ")}. `
        + `The largest is ${number(current.value)}${largest > 1 ? ", several times, and the first counts," : ""} `
        + `at position ${current.position} of the window: row ${row}, column ${column} of the map. `
        + (current.value < 0
          ? "It is negative: pooled again, the zeros beside it would win."
          : "Max unpooling writes it there; copying writes it everywhere in the window.");
    }
  }

  explain.register("pooling", mount, { compute });
})();
