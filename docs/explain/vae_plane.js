// The plane of a VAE whose code has two numbers: the decoder draws the digit at any point of it
// (lesson 7). The weights are in vae_digits.js, which make_data.py writes.
(function () {
  "use strict";
  const { h, number } = explain;
  const REACH = 2.5;
  const TILES = 11;

  function floats(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  // A map is {height, width, channels, values}, channels last.
  const LAYERS = {
    dense: (x, { units, kernel, bias }) => {
      const values = Float64Array.from(bias);
      x.values.forEach((value, i) => {
        for (let j = 0; j < units; j += 1) values[j] += value * kernel[i * units + j];
      });
      return { height: 1, width: 1, channels: units, values };
    },
    reshape: (x, { shape: [height, width, channels] }) => ({ height, width, channels, values: x.values }),
    // padding="same": stride * height rows, of which the padding cuts off `front` at the top.
    transpose: (x, { size, stride, filters, kernel, bias }) => {
      const [height, width] = [x.height * stride, x.width * stride];
      const front = Math.floor(Math.max(size - stride, 0) / 2);
      const values = new Float64Array(height * width * filters);
      for (let i = 0; i < values.length; i += 1) values[i] = bias[i % filters];
      for (let i = 0; i < x.height * x.width; i += 1) {
        const [top, left] = [Math.floor(i / x.width) * stride - front, (i % x.width) * stride - front];
        for (let tap = 0; tap < size * size; tap += 1) {
          const [row, column] = [top + Math.floor(tap / size), left + (tap % size)];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          stamp(x.values, i * x.channels, x.channels, kernel, tap * filters * x.channels,
            values, (row * width + column) * filters, filters);
        }
      }
      return { height, width, channels: filters, values };
    },
  };
  function stamp(input, from, channels, kernel, weights, output, to, filters) {
    for (let f = 0; f < filters; f += 1) {
      let sum = 0;
      for (let c = 0; c < channels; c += 1) sum += input[from + c] * kernel[weights + f * channels + c];
      output[to + f] += sum;
    }
  }
  const ACTIVATIONS = {
    relu: (x) => Math.max(x, 0),
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    linear: (x) => x,
  };

  let layers;
  // The pixels that the decoder draws from a code of two numbers: rows of numbers from 0 to 1.
  function compute(code) {
    layers ??= explain.data.vae_digits.layers.map((layer) => ({
      ...layer,
      ...(layer.kernel && { kernel: floats(layer.kernel), bias: floats(layer.bias) }),
    }));
    let x = { height: 1, width: 1, channels: code.length, values: Float64Array.from(code) };
    for (const layer of layers) {
      x = LAYERS[layer.kind](x, layer);
      x.values = x.values.map(ACTIVATIONS[layer.activation || "linear"]);
    }
    return Array.from({ length: x.height }, (_, row) =>
      Array.from(x.values.subarray(row * x.width, (row + 1) * x.width)));
  }

  // The digits of the `count` test images whose codes lie nearest, the most frequent one first.
  function nearest([a, b], count = 9) {
    const found = explain.data.vae_digits.codes
      .map(([x, y, digit]) => [(x - a) ** 2 + (y - b) ** 2, digit])
      .sort((one, other) => one[0] - other[0])
      .slice(0, count)
      .map(([, digit]) => digit);
    const votes = (digit) => found.filter((x) => x === digit).length;
    return [...new Set(found)].sort((x, y) => votes(y) - votes(x)).map((digit) => [digit, votes(digit)]);
  }

  function rgb(text) {
    const value = parseInt(text.slice(1), 16);
    return [value >> 16, (value >> 8) & 255, value & 255];
  }

  // An image of `pixels`, 0 for paper and 1 for ink, both colours like "#ffffff".
  function picture(pixels, paper, ink) {
    const canvas = h("canvas", { width: pixels[0].length, height: pixels.length });
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    pixels.flat().forEach((x, i) => {
      for (let c = 0; c < 3; c += 1) image.data[4 * i + c] = paper[c] + (ink[c] - paper[c]) * x;
      image.data[4 * i + 3] = 255;
    });
    context.putImageData(image, 0, 0);
    return canvas;
  }

  function mount(place) {
    const { codes, colours } = explain.data.vae_digits;
    const state = { code: [0.8, 0.6] };
    const tiles = Array.from({ length: TILES * TILES }, (_, i) => compute([
      ((i % TILES) + 0.5) * (2 * REACH / TILES) - REACH,
      REACH - (Math.floor(i / TILES) + 0.5) * (2 * REACH / TILES),
    ]));
    const sliders = ["first number", "second number"].map((label, axis) => explain.slider({
      label, min: -REACH, max: REACH, step: 0.05, value: state.code[axis],
      text: (x) => number(x), onchange: (x) => move(state.code.map((old, i) => (i === axis ? x : old))),
    }));
    const plane = h("canvas", {
      class: "explain-touch", tabindex: 0, role: "application",
      "aria-roledescription": "plane", "aria-label": "plane of codes: arrow keys move the point",
    });
    const digit = h("canvas", { role: "img", "aria-label": "the digit that the decoder draws" });
    const says = explain.layout(place, {
      title: "Try it: the decoder of a VAE draws every point of its plane",
      controls: sliders.map(({ element }) => element),
      panels: [
        explain.panel("The plane: drag the ring. Dots are codes of test digits", plane),
        explain.panel("What the decoder draws", digit),
      ],
      notes: [
        ["Try", "Drag the ring slowly from the middle of one digit to that of another, or move it "
          + "with the arrow keys (with Shift in larger steps)."],
        ["Notice", "One digit turns into the other step by step, and everywhere there are strokes. "
          + "The faint images are drawn by the same decoder at their places; the large numbers "
          + "stand in the middle of the codes of their digit."],
        ["Then", "look for a place between two digits that is neither, and for the corners, where no "
          + "digit of the training set lies: there the decoder can only guess."],
      ],
    });
    let side; // of the plane, in pixels of the screen
    const map = h("canvas");
    const x = (value) => ((value + REACH) / (2 * REACH)) * side;
    const y = (value) => side - x(value);
    const redraw = explain.watch(place, draw);

    function move(code) {
      state.code = code.map((x) => Math.round(20 * explain.clamp(x, -REACH, REACH)) / 20);
      sliders.forEach((slider, axis) => slider.set(state.code[axis]));
      redraw();
    }
    explain.onDrag(plane, (x, y, event) => {
      event.preventDefault();
      move([(x / side) * 2 * REACH - REACH, REACH - (y / side) * 2 * REACH]);
    });
    explain.onArrows(plane, (rows, columns, event) => {
      const step = event.shiftKey ? 0.5 : 0.1;
      move([state.code[0] + step * columns, state.code[1] - step * rows]);
    });

    function draw(width) {
      side = Math.min(width, 400);
      const paper = rgb(explain.css(place, "--explain-paper"));
      const ink = rgb(explain.css(place, "--explain-ink"));
      drawPlane(paper, ink);
      const pixels = compute(state.code);
      const large = Math.min(width, 208);
      const context = explain.canvas(digit, large, large);
      context.imageSmoothingEnabled = false;
      context.drawImage(picture(pixels, paper, ink), 0, 0, large, large);
      const around = nearest(state.code).map(([name, votes]) => `${name} (${votes} of 9)`);
      const inked = pixels.flat().reduce((sum, x) => sum + x, 0);
      says.textContent = `Code (${state.code.map((x) => number(x)).join(", ")}). The nearest test digits `
        + `are ${around.join(", ")}. The drawing has as much ink as ${number(inked, 1)} black pixels.`;
    }

    function drawPlane(paper, ink) {
      const key = `${side} ${paper}`;
      if (map.dataset.key !== key) drawMap(paper, ink);
      map.dataset.key = key;
      const context = explain.canvas(plane, side, side);
      context.drawImage(map, 0, 0, side, side);
      for (const [radius, colour, thickness] of [[11, paper, 7], [11, ink, 3]]) {
        context.strokeStyle = `rgb(${colour})`;
        context.lineWidth = thickness;
        context.beginPath();
        context.arc(x(state.code[0]), y(state.code[1]), radius, 0, 7);
        context.stroke();
      }
    }

    // All that does not move: what the decoder draws everywhere, and the codes of the test digits.
    function drawMap(paper, ink) {
      const context = explain.canvas(map, side, side);
      context.fillStyle = `rgb(${paper})`;
      context.fillRect(0, 0, side, side);
      context.globalAlpha = 0.4;
      tiles.forEach((pixels, i) => {
        const tile = side / TILES;
        const gap = 0.09 * tile;
        context.drawImage(picture(pixels, paper, ink), (i % TILES) * tile + gap,
          Math.floor(i / TILES) * tile + gap, tile - 2 * gap, tile - 2 * gap);
      });
      context.globalAlpha = 0.85;
      for (const [a, b, label] of codes) {
        context.fillStyle = colours[label];
        context.beginPath();
        context.arc(x(a), y(b), side / 130, 0, 7);
        context.fill();
      }
      context.globalAlpha = 1;
      context.font = "bold 18px sans-serif";
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 4;
      for (let label = 0; label < 10; label += 1) {
        const own = codes.filter((code) => code[2] === label);
        const mean = (axis) => own.reduce((sum, code) => sum + code[axis], 0) / own.length;
        context.strokeStyle = `rgb(${paper})`;
        context.strokeText(label, x(mean(0)), y(mean(1)));
        context.fillStyle = colours[label];
        context.fillText(label, x(mean(0)), y(mean(1)));
      }
    }
  }

  explain.register("vae_plane", mount, { compute, nearest, data: ["vae_digits.js"] });
})();
