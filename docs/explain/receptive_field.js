// The receptive field: which pixels of a photograph one output can see (lesson 2). The photograph's
// size and the layers of VGG-16 are in receptive_field_data.js, which make_data.py writes.
(function () {
  "use strict";
  const { h, s, number } = explain;

  // One axis. Layers are {kernel, stride, rate} with padding="same", the smaller half in front. Each
  // level, from the image up, has the size, stride and offset of the field of its units: unit `i`
  // sees rows `stride * i + offset` to `stride * i + offset + size - 1`.
  function levelsOf(length, layers) {
    const levels = [{ length, size: 1, stride: 1, offset: 0 }];
    for (const { kernel, stride, rate } of layers) {
      const below = levels[levels.length - 1];
      const window = (kernel - 1) * rate + 1;
      const count = Math.ceil(below.length / stride);
      const front = Math.floor(Math.max((count - 1) * stride + window - below.length, 0) / 2);
      levels.push({
        length: count,
        size: below.size + (window - 1) * below.stride,
        stride: below.stride * stride,
        offset: below.offset - front * below.stride,
        front,
      });
    }
    return levels;
  }

  // For each level the units that `unit` of the output depends on: `paths[i]` counts the ways from
  // unit `first + i` to the output. Padding is no unit, so no way leads through it.
  function pathsFrom(unit, levels, layers) {
    const found = [{ first: unit, paths: [1] }];
    for (let l = layers.length; l > 0; l -= 1) {
      const { kernel, stride, rate } = layers[l - 1];
      const above = found[0];
      const first = above.first * stride - levels[l].front;
      const paths = new Array((above.paths.length - 1) * stride + (kernel - 1) * rate + 1).fill(0);
      above.paths.forEach((ways, i) => {
        for (let tap = 0; tap < kernel; tap += 1) {
          const at = i * stride + tap * rate;
          if (first + at >= 0 && first + at < levels[l - 1].length) paths[at] += ways;
        }
      });
      found.unshift({ first, paths });
    }
    return found;
  }

  // What output `unit` = [row, column] sees of an image, and what it depends on in every map.
  function compute(height, width, layers, unit) {
    const axes = [height, width].map((length, axis) => {
      const levels = levelsOf(length, layers);
      const top = levels[levels.length - 1];
      const at = explain.clamp(unit[axis], 0, top.length - 1);
      const first = top.stride * at + top.offset;
      return { ...top, levels, unit: at, first, last: first + top.size - 1, seen: pathsFrom(at, levels, layers) };
    });
    const each = (name) => axes.map((axis) => axis[name]);
    return {
      axes, unit: each("unit"), map: each("length"), size: each("size"), stride: each("stride"),
      offset: each("offset"), first: each("first"), last: each("last"),
      paths: axes.map(({ seen }) => seen[0].paths),
    };
  }

  const PHOTO_MIDDLE = [115, 180];
  const SLIDERS = [["kernel", 7], ["stride", 3], ["rate", 6], ["depth", 6]];

  function mount(place) {
    const { height, width, presets, photo } = explain.data.receptive_field_data;
    const state = { kernel: 3, stride: 2, rate: 1, depth: 4, preset: "", point: PHOTO_MIDDLE };
    const image = h("img", { src: explain.folder + photo, alt: "" });
    const preset = explain.select({
      label: "network", value: state.preset,
      options: [["", "a stack of equal layers"], ...presets.map(({ name }) => [name, name])],
      onchange: (value) => change({ preset: value }),
    });
    const sliders = Object.fromEntries(SLIDERS.map(([name, max]) => [name, explain.slider({
      label: { rate: "dilation", depth: "layers" }[name] || name, min: 1, max, value: state[name],
      onchange: (value) => change({
        // As in Keras, a layer has a stride or a dilation, not both.
        ...(value > 1 && name === "stride" ? { rate: 1 } : {}),
        ...(value > 1 && name === "rate" ? { stride: 1 } : {}),
        [name]: value, preset: "",
      }),
    })]));
    const canvas = h("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "photograph", class: "explain-touch",
      "aria-label": "photograph of a cat: arrow keys move the output to its neighbour",
    });
    const keyhole = h("canvas", { role: "img", "aria-label": "what the output sees" });
    const cone = s("svg", { role: "img" });
    const says = explain.layout(place, {
      title: "Try it: how much one output sees",
      controls: [preset.element, ...Object.values(sliders).map(({ element }) => element)],
      panels: [
        explain.panel("Click the photograph: the blue square is one output, the orange frame its field", canvas),
        explain.panel("All that this output sees", keyhole),
        explain.panel("One row of every map, from the output down to the image", cone),
      ],
      notes: [
        ["Try", "Cover the photograph with your hand and add layers. When can you tell from the small "
          + "view what it is? Then set the stride to 1: how many layers would it take now?"],
        ["Notice", "Every stride makes the further layers see more, but the blue square grows, too: "
          + "the map gets coarse. Dilation enlarges the field and keeps the map fine; equal rates "
          + "leave gaps, which are black in the small view. (At stride 2 Keras pads behind the map only, "
          + "so the field lies off centre.)"],
        ["Then", "go through the stages of VGG-16, and compare them with the same convolutions without "
          + "poolings, and with rates of 1, 2, 4, 8 and 16 instead."],
      ],
    });
    let result;
    const redraw = explain.watch(place, draw);
    image.addEventListener("load", redraw);

    function change(next) {
      Object.assign(state, next);
      preset.set(state.preset);
      SLIDERS.forEach(([name]) => {
        sliders[name].set(state[name]);
        sliders[name].element.classList.toggle("explain-idle", Boolean(state.preset));
      });
      redraw();
    }
    function layersNow() {
      const found = presets.find(({ name }) => name === state.preset);
      const { kernel, stride, rate } = state;
      return found ? found.layers
        : Array.from({ length: state.depth }, (_, i) => ({ name: `layer ${i + 1}`, kernel, stride, rate }));
    }
    explain.onDrag(canvas, (x, y, event) => {
      event.preventDefault();
      const scale = canvas.clientWidth / width;
      change({
        point: [explain.clamp(Math.floor(y / scale), 0, height - 1), explain.clamp(Math.floor(x / scale), 0, width - 1)],
      });
    });
    explain.onArrows(canvas, (rows, columns) => {
      const moved = [rows, columns].map((step, axis) =>
        explain.clamp(result.unit[axis] + step, 0, result.map[axis] - 1));
      change({ point: moved.map((unit, axis) => Math.floor((unit + 0.5) * result.stride[axis])) });
    });

    function draw(room) {
      const layers = layersNow();
      const stride = layers.reduce((product, layer) => product * layer.stride, 1);
      result = compute(height, width, layers, state.point.map((x) => Math.floor(x / stride)));
      drawPhoto(Math.min(room, 448));
      drawKeyhole(Math.min(room, 208));
      drawCone(Math.min(room, 448), layers);
      speak();
    }

    function drawPhoto(room) {
      const scale = room / width;
      const context = explain.canvas(canvas, room, height * scale);
      context.drawImage(image, 0, 0, room, height * scale);
      const [top, left] = result.first.map((x) => x * scale);
      const [tall, wide] = result.size.map((x) => x * scale);
      context.fillStyle = "rgba(0, 0, 0, 0.4)";
      context.beginPath();
      context.rect(0, 0, room, height * scale);
      context.rect(left, top, wide, tall);
      context.fill("evenodd");
      const frame = (x, y, w, hh, colour) => {
        for (const [stroke, thickness] of [["#ffffff", 5], [colour, 3]]) {
          context.strokeStyle = stroke;
          context.lineWidth = thickness;
          context.strokeRect(x, y, w, hh);
        }
      };
      frame(left, top, wide, tall, "#d55e00");
      const [y, x] = result.unit.map((unit, axis) => unit * result.stride[axis] * scale);
      const [cellHeight, cellWidth] = result.stride.map((step) => Math.max(step * scale, 3));
      context.fillStyle = "rgba(0, 114, 178, 0.45)";
      context.fillRect(x, y, cellWidth, cellHeight);
      frame(x, y, cellWidth, cellHeight, "#0072b2");
    }

    // The field alone, enlarged; dark where no way leads to the output, grey beyond the photograph.
    function drawKeyhole(side) {
      const context = explain.canvas(keyhole, side, side);
      const scale = side / Math.max(...result.size);
      const [top, left] = result.first;
      const [tall, wide] = result.size.map((x) => x * scale);
      context.fillStyle = explain.css(place, "--explain-line");
      context.fillRect(0, 0, wide, tall);
      context.imageSmoothingEnabled = scale < 1;
      context.drawImage(image, -left * scale, -top * scale, width * scale, height * scale);
      context.fillStyle = "#000000";
      const inside = (x, length) => x >= 0 && x < length;
      result.paths[0].forEach((ways, i) => {
        if (!ways && inside(top + i, height)) context.fillRect(0, i * scale, wide, scale);
      });
      result.paths[1].forEach((ways, i) => {
        if (!ways && inside(left + i, width)) context.fillRect(i * scale, 0, scale, tall);
      });
    }

    // Along the columns: the units of each map that the output depends on, where they lie over the
    // image, and the ways between them as long as these can be told apart.
    function drawCone(room, layers) {
      const { levels, seen } = result.axes[1];
      const LABEL = 118;
      const pitch = layers.length > 8 ? 17 : 30;
      const [from, to] = [result.first[1] - 1, result.last[1] + 1];
      const unit = (room - LABEL - 8) / (to - from + 1);
      const x = (l, i) => LABEL + 4 + (levels[l].stride * i + levels[l].offset + (levels[l].size - 1) / 2 - from + 0.5) * unit;
      const y = (l) => 12 + (layers.length - l) * pitch;
      const ways = layers.map(({ kernel }, l) => kernel * seen[l + 1].paths.filter(Boolean).length);
      const few = ways.reduce((sum, n) => sum + n, 0) <= 400;
      const parts = [];
      for (let l = layers.length; l > 0; l -= 1) {
        const [above, below] = [seen[l], seen[l - 1]];
        const end = ({ first, paths }) => first + paths.length - 1;
        const corners = [[l, above.first], [l, end(above)], [l - 1, end(below)], [l - 1, below.first]];
        parts.push(s("polygon", {
          points: corners.map(([level, i]) => `${x(level, i)},${y(level)}`).join(" "),
          style: `fill: ${explain.colour(1)}; fill-opacity: 0.22`,
        }));
        if (few) parts.push(...drawWays(l, above, layers[l - 1]));
      }
      seen.forEach((level, l) => {
        const spacing = levels[l].stride * unit;
        const title = l ? layers[l - 1].name : "image";
        parts.push(
          s("text", { class: "start small", x: 0, y: y(l) }, title),
          s("text", { class: "end small", x: LABEL - 10, y: y(l), "data-field": levels[l].size }, `sees ${levels[l].size}`),
          ...drawUnits(level, l, spacing),
        );
      });
      function drawWays(l, above, { kernel, stride, rate }) {
        return above.paths.flatMap((ways_, i) => (!ways_ ? [] : Array.from({ length: kernel }, (_, tap) =>
          s("line", {
            class: "explain-guide", x1: x(l, above.first + i), y1: y(l),
            x2: x(l - 1, (above.first + i) * stride - levels[l].front + tap * rate), y2: y(l - 1),
          }))));
      }
      function drawUnits({ first, paths }, l, spacing) {
        const style = `fill: ${explain.colour(l === layers.length ? 0 : 5)}`;
        if (spacing >= 5) {
          return paths.map((ways_, i) => s("circle", {
            cx: x(l, first + i), cy: y(l), r: Math.min(spacing / 2.6, ways_ ? 5 : 2.5),
            style: ways_ ? style : "fill: var(--explain-line); fill-opacity: 0.6",
          }));
        }
        return runs(paths).map(([start, end]) => s("rect", {
          x: x(l, first + start) - 1, y: y(l) - 3, width: x(l, first + end) - x(l, first + start) + 2,
          height: 6, style,
        }));
      }
      const tall = y(0) + 12;
      cone.setAttribute("viewBox", `0 0 ${room} ${tall}`);
      cone.setAttribute("width", room);
      cone.setAttribute("height", tall);
      cone.setAttribute("aria-label", "columns seen in each map, from the image up: "
        + levels.map(({ size }) => size).join(", "));
      cone.replaceChildren(...parts);
    }

    // First and last index of each run of numbers that are not zero.
    function runs(paths) {
      const found = [];
      paths.forEach((ways, i) => {
        if (ways && i && paths[i - 1]) found[found.length - 1][1] = i;
        else if (ways) found.push([i, i]);
      });
      return found;
    }

    function speak() {
      const { size, stride, unit, map, first, last, paths } = result;
      const pair = (two) => (two[0] === two[1] ? `${two[0]} × ${two[0]}` : two.join(" × "));
      const inside = size.map((_, axis) => {
        const end = axis ? width : height;
        return Math.max(Math.min(last[axis], end - 1) - Math.max(first[axis], 0) + 1, 0);
      });
      const reached = paths.map((axis) => axis.filter(Boolean).length);
      const share = (100 * reached[0] * reached[1]) / (inside[0] * inside[1]);
      says.replaceChildren(
        h("span", { "data-says": "field" },
          `Output (row ${unit[0]}, column ${unit[1]}) of a map of ${map[0]} × ${map[1]} sees ${pair(size)} pixels: `
          + `rows ${number(first[0])} to ${number(last[0])}, columns ${number(first[1])} to ${number(last[1])}. `),
        h("span", { "data-says": "stride" }, stride[0] === 1 ? "There is one output for every pixel. " : `There is one output every ${stride[0]} pixels. `),
        share < 99.95
          ? h("span", { "data-says": "gaps" }, `Its field has gaps: only ${share.toFixed(1)} % of the pixels reach it. `) : "",
        inside[0] < size[0] || inside[1] < size[1]
          ? h("span", {}, "A part of the field lies outside the photograph, where there are zeros.") : "",
      );
    }
  }

  explain.register("receptive_field", mount, { compute, data: ["receptive_field_data.js"] });
})();
