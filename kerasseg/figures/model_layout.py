"""Where the boxes, words and arrows of a model's drawing go, in inches."""

from dataclasses import dataclass, field
from itertools import groupby

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT_SIZE = 9  # points, on drawings of at most 7.3 inches: readable on a page 700 pixels wide
LINE = 1.22 * FONT_SIZE / 72
PAD = 0.06  # between words and arrows
WORD_GAPS = (0.12, 0.06)  # between names side by side: the second where the drawing gets too wide
WIDEST = 7.13  # inches
BOX_GAP = 0.03  # inside a stage
GAP = 0.16  # between stages, for an arrow
BUS = 0.13  # from a stage to where its arrow branches
ROW_GAP = 0.14
TALLEST, LOWEST = 0.8, 0.09


@dataclass
class Box:
    """A rectangle by its middle; `map` is the `Map` it shows."""

    map: object
    x: float
    y: float
    width: float
    height: float

    @property
    def extent(self):
        half, tall = self.width / 2, self.height / 2
        return self.x - half, self.y - tall, self.x + half, self.y + tall


@dataclass
class Words:
    """Lines of text; `x` and `y` are where `align` and the lower edge are."""

    text: str
    x: float
    y: float
    align: str = "center"
    bold: int = 0

    @property
    def extent(self):
        width, height = size_of(self.text, self.bold)
        left = self.x - {"left": 0, "center": width / 2, "right": width}[self.align]
        return left, self.y, left + width, self.y + height


@dataclass
class Arrow:
    """A path through `points`, of a kind: "forward", "pool", "up", "mask" or "skip"."""

    points: list
    kind: str


@dataclass
class Drawing:
    boxes: list = field(default_factory=list)
    words: list = field(default_factory=list)
    arrows: list = field(default_factory=list)

    @property
    def extent(self):
        items = [x.extent for x in self.boxes + self.words]
        items += [(x, y, x, y) for arrow in self.arrows for x, y in arrow.points]
        left, bottom, right, top = zip(*items)
        return min(left), min(bottom), max(right), max(top)


def size_of(text, bold=0):
    """Width and height of lines of text, the first `bold` of them bold, in inches."""
    lines = text.split("\n")
    fonts = [FontProperties(size=FONT_SIZE, weight=w) for w in ("bold", "normal")]
    widths = [
        text_to_path.get_text_width_height_descent(line or " ", fonts[i >= bold], False)[0]
        for i, line in enumerate(lines)
    ]
    return max(widths) / 72, LINE * len(lines)


def lay_out(stages):
    """The `Drawing` of stages: an hourglass if they have no skips and a decoder, else stairs."""
    links = Links(stages)
    has_vectors = any(stage.size is None for stage in stages)
    ups = sum(kind == "up" for stage in stages for kind in stage.sources.values())
    is_chain = all(len(stage.sources) <= 1 for stage in stages)
    if has_vectors or (ups > 1 and is_chain):
        return Hourglass(stages, links).draw()
    for word_gap in WORD_GAPS:
        drawing = Stairs(stages, links, word_gap).draw()
        left, _, right, _ = drawing.extent
        if right - left <= WIDEST:
            break
    return drawing


class Links:
    """How stages hang together: readers, rows beside each other, arrows that skip stages."""

    def __init__(self, stages):
        self.stages = stages
        self.readers = [[] for _ in stages]
        for number, stage in enumerate(stages):
            for source in stage.sources:
                self.readers[source].append(number)
        self.branch = [0] * len(stages)  # which row beside the main one
        self.level = [stage.level for stage in stages]
        self.fork_of = {}  # {join: (fork, chains)}
        for number, stage in enumerate(stages):
            if len(stage.sources) > 1:
                self.find_branches(number)
        self.find_dead_ends()
        self.skips = {
            (source, number)
            for number, stage in enumerate(stages)
            for source in stage.sources
            if len(stage.sources) > 1
            and number not in self.fork_of
            and stage.sources[source] != "up"
        }

    def find_branches(self, join):
        chains, forks = [], set()
        for source in self.stages[join].sources:
            chain, reader = [], join
            while (
                self.readers[source] == [reader]
                and len(self.stages[source].sources) == 1
                and self.stages[source].level == self.stages[join].level
            ):
                chain.insert(0, source)
                reader, (source,) = source, self.stages[source].sources
            chains.append(chain)
            forks.add(source)
        if len(forks) == 1:
            self.fork_of[join] = (forks.pop(), chains)
            for row, chain in enumerate(sorted(chains, key=bool)):  # nothing goes straight on
                for number in chain:
                    self.branch[number] = row

    def find_dead_ends(self):
        """What leads to an output beside the main one gets a row of its own, below all others."""
        depth = []
        for stage in self.stages:
            depth.append(1 + max((depth[source] for source in stage.sources), default=0))
        wanted = {depth.index(max(depth))}
        for number in reversed(range(len(self.stages))):
            if number in wanted:
                wanted.update(self.stages[number].sources)
        below = 1 + max(self.branch)
        for number, stage in enumerate(self.stages):
            if number not in wanted:
                self.branch[number] = below
                self.level[number] = self.level[next(iter(stage.sources))]

    def row(self, number):
        return self.level[number], self.branch[number]


class Layout:
    """What both kinds of drawing share: the sizes of boxes and the words about a stage."""

    def __init__(self, stages, links):
        self.stages, self.links = stages, links
        maps = [made for stage in stages for made in stage.maps]
        self.tallest = max((m.shape[0] for m in maps if m.size), default=1)
        self.longest = max((m.shape[0] for m in maps if not m.size), default=1)
        self.boxes = [[self.box(made) for made in stage.maps] for stage in stages]
        self.drawing = Drawing([box for row in self.boxes for box in row])

    def box(self, made):
        share = made.shape[0] / (self.tallest if made.size else self.longest)
        height = max(LOWEST, TALLEST * share**0.6)
        width = 0.045 + 0.008 * made.shape[-1] ** 0.42 if made.size else 0.08
        return Box(made, 0.0, 0.0, width, height)

    def width(self, number):
        boxes = self.boxes[number]
        return sum(box.width for box in boxes) + BOX_GAP * (len(boxes) - 1)

    def height(self, number):
        return max(box.height for box in self.boxes[number])

    def place(self, number, left, y):
        for box in self.boxes[number]:
            box.x, box.y = left + box.width / 2, y
            left += box.width + BOX_GAP

    def first(self, number):
        return self.boxes[number][0]

    def last(self, number):
        return self.boxes[number][-1]

    def title(self, number):
        name = self.stages[number].name
        return name.replace("_", "\n" if len(name) > 8 else " ")

    def channels(self, number):
        maps = self.stages[number].maps
        maps = [m for m in maps if m.kind != "pool"] or maps
        if len({m.shape[-1] for m in maps}) > 3:
            return f"{maps[0].shape[-1]} … {maps[-1].shape[-1]}"
        runs = [(c, len(list(run))) for c, run in groupby(m.shape[-1] for m in maps)]
        return ", ".join(f"{n}×{c}" if n > 1 else f"{c}" for c, n in runs)

    def notes(self, number):
        maps = self.stages[number].maps
        notes = [m.note for m in maps if m.note]
        rates = [rate for m in maps for rate in m.rates]
        different = list(dict.fromkeys(rates))
        if different and str(different[0]) not in self.stages[number].name:
            word = "rate" if len(different) == 1 else "rates"
            few = ", ".join(map(str, different))
            many = f"{different[0]} … {different[-1]}"
            notes.append(f"{word} {few if len(different) < 4 else many}")
        return notes

    def chain_of(self, number):
        """Chains of the fork that a stage is in, `None` if in none."""
        for _, chains in self.links.fork_of.values():
            if any(number in chain for chain in chains):
                return chains
        return None

    def is_branch_start(self, number):
        return any(number == chain[0] for chain in self.chain_of(number) or () if chain)

    def is_sideways(self, number):
        """Whether its arrows come over a bus, from where branches part or to where they join."""
        return number in self.links.fork_of or self.is_branch_start(number)

    def connect_all(self):
        for number, stage in enumerate(self.stages):
            for source, kind in stage.sources.items():
                self.connect(source, number, kind)

    def arrow(self, points, kind):
        self.drawing.arrows.append(Arrow(points, kind))


def sides(size):
    return f"{size[0]}×{size[1]}"


class Stairs(Layout):
    """One row for each size, the largest on top: down the encoder, up the decoder."""

    def __init__(self, stages, links, word_gap):
        super().__init__(stages, links)
        self.word_gap = word_gap

    def draw(self):
        numbers = range(len(self.stages))
        self.rows = sorted({self.links.row(n) for n in numbers})
        self.members = {row: [n for n in numbers if self.links.row(n) == row] for row in self.rows}
        self.words = [self.words_of(n) for n in numbers]
        self.right, self.words_end, self.stretched = {}, {}, []
        for number in numbers:
            self.place_across(number)
        self.place_down()
        self.connect_all()
        for start, end in self.stretched:
            self.arrow([(start.extent[2], start.y), (end.extent[0], end.y)], "forward")
        self.label_rows()
        return self.drawing

    def vertical_sources(self, number):
        """Those in other rows, but for branches, whose arrows leave a fork sideways."""
        if self.is_sideways(number):
            return []
        row = self.links.row(number)
        return [s for s in self.stages[number].sources if self.links.row(s) != row]

    def is_straight(self, number):
        return len(self.vertical_sources(number)) == 1

    def arrows_on_top(self, number):
        """Whether one comes in from above, and whether one leaves upwards."""
        rows = self.links.row
        comes = self.is_straight(number) and rows(self.vertical_sources(number)[0]) < rows(number)
        leaves = any(
            self.is_straight(r) and number in self.vertical_sources(r) and rows(r) < rows(number)
            for r in self.links.readers[number]
        )
        return comes, leaves

    def words_of(self, number):
        title, lines = self.title(number), [self.channels(number), *self.notes(number)]
        size, shown = self.stages[number].size, self.size_beside(number)
        is_other = size and any(abs(a - b) > 1 for a, b in zip(size, shown))
        if is_other and sides(size) != title:
            lines.append(sides(size))
        comes, leaves = self.arrows_on_top(number)
        align = "left" if comes and not leaves else "right" if leaves and not comes else "center"
        if align != "center":
            lines[:2] = [", ".join(lines[:2])]
        text = "\n".join(([title] if title else []) + lines)
        return Words(text, 0.0, 0.0, align, bold=1 + title.count("\n"))

    def size_beside(self, number):
        """The size that a reader sees last, left of a stage: another one has to be written."""
        row = self.members[self.links.row(number)]
        place = row.index(number)
        if place:
            return self.stages[row[place - 1]].size
        if self.links.branch[number]:
            return self.stages[next(iter(self.stages[number].sources))].size
        return self.stages[number].size

    def anchor(self, number):
        """Where words are aligned, from the left edge of the boxes."""
        width, align = self.width(number), self.words[number].align
        if align == "center":
            return width / 2
        if align == "left":
            return self.first(number).width / 2 + PAD
        return width - self.last(number).width / 2 - PAD

    def reach(self, number):
        """How far words reach to the left and right of the boxes' left edge."""
        left, _, right, _ = self.words[number].extent
        x = self.words[number].x
        return left - x + self.anchor(number), right - x + self.anchor(number)

    def place_across(self, number):
        left_reach, right_reach = self.reach(number)
        row, sources = self.links.row(number), list(self.stages[number].sources)
        vertical = self.vertical_sources(number)
        start = wanted = 0.0
        if number in self.links.fork_of:
            start = max(self.stage_right(s) for s in sources) + 2 * BUS
        elif self.is_branch_start(number):
            starts = [chain[0] for chain in self.chain_of(number) if chain]
            words_left = min(self.reach(start)[0] for start in starts)
            start = self.stage_right(sources[0]) + BUS + max(BUS, PAD - words_left)
        elif len(vertical) == 1:
            start = wanted = self.last(vertical[0]).x - self.first(number).width / 2
        elif vertical:
            start = max(self.stage_right(s) for s in vertical) + 2 * BUS + size_of("×32")[0]
        if row in self.right:
            start = max(
                start, self.right[row] + GAP, self.words_end[row] + self.word_gap - left_reach
            )
        if wanted and start > wanted:
            self.stretch(vertical[0], start - wanted)
        self.place(number, start, 0.0)
        self.words[number].x = start + self.anchor(number)
        self.right[row] = start + self.width(number)
        self.words_end[row] = start + right_reach

    def stretch(self, number, distance):
        """Moves the last box of the lowest stage so that the arrow up from it is straight."""
        row = self.links.row(number)
        is_last = self.members[row][-1] == number and row == self.rows[-1]
        if is_last and len(self.boxes[number]) > 1:
            self.last(number).x += distance
            self.stretched.append(self.boxes[number][-2:])
            self.words[number].x += distance / 2

    def stage_right(self, number):
        return max(self.last(number).extent[2], self.words[number].extent[2])

    def place_down(self):
        top = 0.0
        for row in self.rows:
            above = below = max(self.height(n) for n in self.members[row]) / 2
            for n in self.members[row]:
                reach = self.height(n) / 2 + 0.03
                words = size_of(self.words[n].text)[1]
                if all(self.arrows_on_top(n)):
                    below = max(below, reach + words)
                    self.words[n].y = -reach - words
                else:
                    above = max(above, reach + words)
                    self.words[n].y = reach
            for n in self.members[row]:
                self.words[n].y += top - above
                for box in self.boxes[n]:
                    box.y = top - above
                self.drawing.words.append(self.words[n])
            top -= above + below + ROW_GAP

    def connect(self, source, number, kind):
        start, end = self.last(source), self.first(number)
        kind = "skip" if (source, number) in self.links.skips and kind == "forward" else kind
        _, bottom, right, top = start.extent
        left, below, _, above = end.extent
        is_straight = abs(start.x - end.x) < 1e-6
        if start.y == end.y:
            kinds = kind.split()
            for i, one in enumerate(kinds):
                y = start.y + start.height / 3 * (i - (len(kinds) - 1) / 2)
                self.arrow([(right, y), (left, y)], one)
        elif self.is_sideways(number):
            bus = left - BUS if number in self.links.fork_of else self.stage_right(source) + BUS
            self.arrow([(right, start.y), (bus, start.y), (bus, end.y), (left, end.y)], kind)
        elif is_straight:
            down = start.y > end.y
            self.arrow([(end.x, bottom if down else top), (end.x, above if down else below)], kind)
        elif self.is_blocked(start, end):
            way_round = self.way_round(start, end)
            self.arrow(way_round, kind)
        else:
            side = above if start.y > end.y else below
            self.arrow([(right, start.y), (end.x, start.y), (end.x, side)], kind)
        factor = 2 ** (start.map.level - end.map.level)
        if kind == "up" and factor > 2:
            beside = max(right, self.words[source].extent[2])
            x, y = (start.x, top) if is_straight else (beside, start.y)
            if start.y != end.y and self.is_blocked(start, end):
                x, y = way_round[2][0], start.y
            self.drawing.words.append(Words(f"×{factor}", x + PAD, y + 0.04, "left"))

    def is_blocked(self, start, end):
        """Whether other boxes of its row lie between a box and the place below or above another."""
        return any(start.x < box.x < end.x for box in self.drawing.boxes if box.y == start.y)

    def way_round(self, start, end):
        """Below the boxes of the row, and from the right to the end."""
        heights = [box.height for box in self.drawing.boxes if box.y == start.y]
        low, right = start.y - max(heights) / 2 - ROW_GAP / 2, end.extent[2] + BUS
        down, up = [(start.x, start.extent[1]), (start.x, low)], [(right, low), (right, end.y)]
        return [*down, *up, (end.extent[2], end.y)]

    def label_rows(self):
        for number in (self.members[row][0] for row in self.rows):
            if self.links.branch[number] == 0:
                box, stage = self.first(number), self.stages[number]
                first, last = stage.maps[0].size, stage.size
                text = sides(last)
                if stage.maps[-1].kind == "pool" and first != last:
                    text = f"{sides(first)}\n→ {text}"
                y = box.y - size_of(text)[1] / 2
                self.drawing.words.append(Words(text, box.extent[0] - PAD, y, "right"))


class Hourglass(Layout):
    """All stages on one line, their sizes below them; branches above each other."""

    def draw(self):
        self.columns = []  # (left, right) of each stage, words included
        for number in range(len(self.stages)):
            self.place_stage(number)
        self.connect_all()
        return self.drawing

    def place_stage(self, number):
        size, above = self.stages[number].size, self.title(number)
        sizes = [sides(size)] if size else []
        below = "\n".join([self.channels(number), *self.notes(number), *sizes])
        bold = 1 + above.count("\n")
        width = max(size_of(above, bold)[0], size_of(below)[0], self.width(number))
        left = self.column_left(number, width)
        middle, y = left + width / 2, self.height_of(number)
        self.place(number, middle - self.width(number) / 2, y)
        self.columns.append((left, left + width))
        tall = self.height(number) / 2 + 0.03
        self.drawing.words += [
            Words(above, middle, y + tall, bold=bold),
            Words(below, middle, y - tall - size_of(below)[1]),
        ]

    def column_left(self, number, width):
        """Behind its sources, as far as an arrow needs; the same column in every branch."""
        sources = self.stages[number].sources
        if not sources:
            return 0.0
        before = max(self.columns[source][1] for source in sources)
        if self.is_sideways(number):
            return before + 2 * BUS
        if self.chain_of(number) is None:
            source = self.last(max(sources))
            narrow = (width - self.width(number)) / 2
            return max(before + 1.5 * PAD, source.extent[2] + GAP - narrow)
        return before + GAP

    def height_of(self, number):
        chains = self.chain_of(number)
        if chains is None:
            return 0.0
        pitch = 0.2 + 4 * LINE
        return pitch * ((len(chains) - 1) / 2 - self.links.branch[number])

    def connect(self, source, number, kind):
        start, end = self.last(source), self.first(number)
        (_, _, right, _), (left, *_) = start.extent, end.extent
        if start.y == end.y:
            points = [(right, start.y), (left, end.y)]
        else:
            bus = self.columns[source][1] + BUS if end.y else self.columns[number][0] - BUS
            points = [(right, start.y), (bus, start.y), (bus, end.y), (left, end.y)]
        self.arrow(points, kind)
