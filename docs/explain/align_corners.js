// `align_corners`: pixels as squares or as points, and what bilinear interpolation makes of it
// (lesson 4).
(function () {
  "use strict";
  const { h, s, number } = explain;

  // Enlarges a row of values to `size`. Returns for each new pixel its position among the old ones,
  // the neighbour before it, the one after it, the share of the way between them, and its value.
  function compute(values, size, alignCorners) {
    const last = values.length - 1;
    return Array.from({ length: size }, (_, i) => {
      // Positions are fractions of whole numbers: nothing is rounded before the last division.
      const [above, below] = alignCorners
        ? [i * last, Math.max(size - 1, 1)]
        : [explain.clamp((2 * i + 1) * values.length - size, 0, 2 * size * last), 2 * size];
      const before = Math.floor(above / below);
      const after = Math.min(before + 1, last);
      const share = (above % below) / below;
      const centre = alignCorners ? above / below : ((i + 0.5) * values.length) / size - 0.5;
      const value = values[before] + (values[after] - values[before]) * share;
      return { centre, before, after, share, value };
    });
  }

  const VALUES = [20, 80, 40, 60, 10, 90];
  const CONVENTIONS = [[false, "squares", 1], [true, "points", 2]];

  function mount(place) {
    const state = { old: 3, size: 6, values: [...VALUES], held: 0, pixel: 1 };
    const old = explain.slider({
      label: "old pixels", min: 2, max: 6, value: state.old,
      onchange: (value) => change({ old: value, held: Math.min(state.held, value - 1) }),
    });
    const size = explain.slider({
      label: "new pixels", min: 2, max: 16, value: state.size,
      onchange: (value) => change({ size: value, pixel: Math.min(state.pixel, value - 1) }),
    });
    const pixel = explain.slider({
      label: "look at new pixel", min: 0, max: state.size - 1, value: state.pixel,
      onchange: (value) => change({ pixel: value }),
    });
    const drawing = s("svg", {
      role: "application", tabindex: 0, "aria-roledescription": "values to drag",
      "aria-label": "old values: left and right choose one, up and down change it",
    });
    const square = s("svg", { role: "img" });
    const says = explain.layout(place, {
      title: "Try it: two meanings of a pixel, align_corners",
      controls: [old.element, size.element, pixel.element],
      panels: [
        explain.panel("One row: old values are blue, new ones lie on the line between them", drawing),
        explain.panel("Both axes: the new grid over the old one", square),
      ],
      notes: [
        ["Try", "Drag the large blue points up and down. Click a new pixel to see how its value is "
          + "computed. Change the number of new pixels."],
        ["Notice", "As squares, both grids cover the same area, and the outermost new centres lie "
          + "outside the old ones, where the border value is repeated. As points, corner falls on "
          + "corner, and no new pixel lies outside."],
        ["Then", "compare where the same new pixel lies in both: at the same place in the middle of the "
          + "row, furthest apart at its ends. A network that is trained with one convention and run "
          + "with the other shifts its outlines there."],
      ],
    });
    const numbers = h("table", { class: "explain-numbers" });
    const scroll = h("div", {
      class: "explain-scroll", tabindex: 0, role: "region", "aria-label": "new values",
    }, numbers);
    says.before(scroll);
    const frame = {}; // of the last drawing: what turns pixels of the screen into values
    const redraw = explain.watch(place, draw);

    function change(next) {
      Object.assign(state, next);
      pixel.limit(state.size - 1);
      pixel.set(state.pixel);
      redraw();
    }
    function setValue(i, value) {
      const values = [...state.values];
      values[i] = explain.clamp(Math.round(value), 0, 100);
      change({ values, held: i });
    }
    explain.onArrows(drawing, (rows, columns) => {
      if (rows) setValue(state.held, state.values[state.held] - 5 * rows);
      else change({ held: explain.clamp(state.held + columns, 0, state.old - 1) });
    });
    explain.onDrag(drawing, (x, y) => setValue(state.held, frame.value(y)), {
      begin: (event) => {
        const target = event.target.closest("[data-old]");
        if (target) state.held = Number(target.dataset.old);
        return Boolean(target);
      },
      end: redraw,
    });
    drawing.addEventListener("click", (event) => {
      const target = event.target.closest("[data-new]");
      if (target) change({ pixel: Number(target.dataset.new) });
    });

    function draw(width) {
      const values = state.values.slice(0, state.old);
      const rows = CONVENTIONS.map(([aligned, name, colour]) => ({
        aligned, name, colour: explain.colour(colour), pixels: compute(values, state.size, aligned),
      }));
      drawRow(Math.min(width, 460), values, rows);
      drawSquares(Math.min(width, 300), rows);
      numbers.replaceChildren(
        h("tr", {}, h("th", { scope: "row" }, "new pixel"), rows[0].pixels.map((_, i) =>
          h("th", { scope: "col", class: i === state.pixel ? "chosen" : null }, String(i)))),
        ...rows.map(({ name, aligned, pixels, colour }) => h("tr", { "data-convention": name },
          h("th", { scope: "row", style: `border-left: 6px solid ${colour}` },
            h("code", {}, `align_corners=${aligned ? "True" : "False"}`)),
          pixels.map(({ value }, i) => h("td", { class: i === state.pixel ? "chosen" : null },
            number(value))))));
      says.replaceChildren(...rows.flatMap((row) => [speak(row, values), " "]));
    }

    // The values on top, and below them, on the same axis, the old pixels and both rows of new ones.
    function drawRow(width, values, rows) {
      const [HEIGHT, TOP, STRIP] = [120, 14, 30];
      const unit = (width - 8) / (state.old + 0.5);
      const x = (position) => 4 + (position + 0.75) * unit;
      const y = (value) => TOP + (1 - value / 100) * HEIGHT;
      frame.value = (top) => 100 * (1 - (top - TOP) / HEIGHT);
      const strip = (i) => TOP + HEIGHT + 26 + i * (STRIP + 24);
      const ends = [[-0.75, values[0]], ...values.map((v, i) => [i, v]), [state.old - 0.25, values.at(-1)]];
      const parts = [
        s("polyline", {
          points: ends.map(([p, v]) => `${x(p)},${y(v)}`).join(" "),
          style: `fill: none; stroke: ${explain.colour(0)}; stroke-width: 2; opacity: 0.6`,
        }),
      ];
      const labels = [];
      const label = (i, text) => labels.push(s("text", { class: "start small halo", x: 4, y: strip(i) - 9 }, text));

      label(0, "old pixels");
      values.forEach((value, i) => {
        parts.push(
          s("line", { class: "explain-guide", x1: x(i), x2: x(i), y1: y(value), y2: strip(2) + STRIP }),
          s("rect", {
            class: "explain-cell", x: x(i - 0.5), y: strip(0), width: unit, height: STRIP,
            style: `fill: ${explain.colour(0)}; fill-opacity: 0.25`,
          }),
          s("circle", { cx: x(i), cy: strip(0) + STRIP / 2, r: 4, style: `fill: ${explain.colour(0)}` }),
        );
      });
      rows.forEach(({ aligned, pixels, colour, name }, k) => {
        label(k + 1, aligned ? "new, as points: align_corners=True" : "new, as squares: align_corners=False");
        const step = aligned ? (state.old - 1) / Math.max(state.size - 1, 1) : state.old / state.size;
        pixels.forEach(({ centre, value }, i) => {
          const chosen = i === state.pixel;
          const middle = strip(k + 1) + STRIP / 2;
          if (chosen) {
            parts.push(s("line", {
              x1: x(centre), x2: x(centre), y1: y(value), y2: middle, "stroke-dasharray": "3 3",
              style: `stroke: ${colour}; stroke-width: 2`,
            }));
          }
          parts.push(
            s("g", { class: "explain-handle", "data-new": i, "data-kind": name },
              aligned
                ? s("line", {
                  x1: x(centre), x2: x(centre), y1: strip(2), y2: strip(2) + STRIP, class: "explain-guide",
                })
                : null,
              s("rect", {
                class: aligned ? null : "explain-cell", x: x(centre - step / 2), y: strip(k + 1),
                width: step * unit, height: STRIP,
                style: `fill: ${colour}; fill-opacity: ${aligned ? 0 : chosen ? 0.6 : 0.25}`,
              }),
              s("circle", { cx: x(centre), cy: middle, r: chosen ? 6 : 4, style: `fill: ${colour}` })),
            point(aligned, x(centre), y(value), colour, chosen),
          );
        });
        if (aligned) {
          parts.push(s("line", {
            x1: x(0), x2: x(state.old - 1), y1: strip(2) + STRIP / 2, y2: strip(2) + STRIP / 2,
            style: `stroke: ${colour}; stroke-width: 2; pointer-events: none`,
          }));
        }
      });
      values.forEach((value, i) => parts.push(s("g", { class: "explain-handle", "data-old": i },
        s("circle", { cx: x(i), cy: y(value), r: 18, fill: "transparent" }),
        s("circle", {
          cx: x(i), cy: y(value), r: 8,
          style: `fill: ${explain.colour(0)}; stroke: ${i === state.held ? "var(--explain-text)" : "none"}; stroke-width: 3`,
        }),
        s("text", { x: x(i) + (i === state.old - 1 ? -20 : 20), y: y(value), "font-size": 12 }, number(value)))));
      parts.push(...labels);
      const height = strip(2) + STRIP + 6;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.setAttribute("width", width);
      drawing.setAttribute("height", height);
      drawing.replaceChildren(...parts);
    }

    // Small squares and small triangles, so that the two can be told apart without colours.
    function point(aligned, x, y, colour, chosen) {
      const r = chosen ? 7 : 4.5;
      const style = `fill: ${colour}; stroke: var(--explain-page); stroke-width: 1; pointer-events: none`;
      return aligned
        ? s("path", { d: `M${x},${y - r} l${r},${1.8 * r} h${-2 * r} z`, style })
        : s("rect", { x: x - r * 0.9, y: y - r * 0.9, width: 1.8 * r, height: 1.8 * r, style });
    }

    function drawSquares(width, rows) {
      const side = (width - 30) / 2;
      const parts = [];
      rows.forEach(({ aligned, pixels, colour }, k) => {
        const left = k * (side + 24) + 3;
        const unit = side / state.old;
        const at = (position) => (position + 0.5) * unit;
        const lines = (count, first, step, attributes) => {
          for (let i = 0; i < count; i += 1) {
            const p = first + i * step;
            parts.push(
              s("line", { x1: left + p, x2: left + p, y1: 3 + attributes.from, y2: 3 + side - attributes.from, ...attributes.look }),
              s("line", { y1: 3 + p, y2: 3 + p, x1: left + attributes.from, x2: left + side - attributes.from, ...attributes.look }),
            );
          }
        };
        const blue = { style: `stroke: ${explain.colour(0)}; stroke-width: 3; opacity: 0.55` };
        const thin = { style: `stroke: ${colour}; stroke-width: 1.5` };
        if (aligned) {
          lines(state.old, at(0), unit, { from: at(0), look: blue });
          lines(state.size, at(0), (at(state.old - 1) - at(0)) / Math.max(state.size - 1, 1), { from: at(0), look: thin });
        } else {
          lines(state.old + 1, 0, unit, { from: 0, look: blue });
          lines(state.size + 1, 0, side / state.size, { from: 0, look: thin });
        }
        const dots = (positions, r, fill) => positions.forEach((row) => positions.forEach((column) =>
          parts.push(s("circle", { cx: left + at(column), cy: 3 + at(row), r, style: `fill: ${fill}` }))));
        dots(Array.from({ length: state.old }, (_, i) => i), Math.min(5, side / state.old / 5), explain.colour(0));
        dots(pixels.map(({ centre }) => centre), Math.min(2.5, side / state.size / 4), colour);
        parts.push(s("text", { class: "small", x: left + side / 2, y: side + 16 }, aligned ? "points: True" : "squares: False"));
      });
      square.setAttribute("viewBox", `0 0 ${width} ${side + 28}`);
      square.setAttribute("width", width);
      square.setAttribute("height", side + 28);
      square.setAttribute("aria-label",
        `${state.size} by ${state.size} new pixels over ${state.old} by ${state.old} old ones: as squares `
        + "both cover the same area, as points the corners coincide");
      square.replaceChildren(...parts);
    }

    function speak({ aligned, pixels, name }, values) {
      const [n, m, i] = [state.old, state.size, state.pixel];
      const { centre, before, after, share, value } = pixels[i];
      const position = aligned
        ? `${i} · (${n} − 1) / (${m} − 1) = ${number(centre)}`
        : `(${i} + ½) · ${n}/${m} − ½ = ${number(centre)}`;
      const outside = centre < 0 || centre > n - 1 ? ", outside, so the border is repeated" : "";
      return h("span", { "data-says": name },
        `As ${name}, new pixel ${i} lies at ${position}${outside}: `
        + `${number(1 - share)} · ${number(values[before])} + ${number(share)} · ${number(values[after])} = `
        + `${number(value)}.`);
    }
  }

  explain.register("align_corners", mount, { compute });
})();
