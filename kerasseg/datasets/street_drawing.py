"""Drawing a street: image, label map, instances and depth, with NumPy alone.

A scene is made of planes: walls that face the camera, walls along the street, and the ground.
Objects are drawn on them in metres; the camera projects them, a depth buffer decides what is in
front, and sun, haze, dusk, blur and sensor noise come last, as in a photograph.
"""

from typing import NamedTuple

import numpy as np

from kerasseg.palette import class_colours


def palette(colours):
    return np.frombuffer(bytes.fromhex(colours), "uint8").reshape(-1, 3)


HEIGHT, WIDTH = 192, 256
CLASS_NAMES = ("road", "building", "sky", "vegetation", "car", "person", "pole", "sign")
COLOURS = class_colours(CLASS_NAMES)
ROAD, BUILDING, SKY, VEGETATION, CAR, PERSON, POLE, SIGN = range(8)
VOID = 255

CAMERA_HEIGHT = 1.5  # metres, as all lengths below
NEAREST, SKY_DEPTH = 1.2, 200.0
TILE = 256  # samples of the noise texture before it repeats

PAINTS = (
    palette("9e9991 d9d6cc 333538 6b6e73 943d2b b81a1a bd9e70 29478c 7391ad 3d6145 dbb333") / 255
)
LEAVES = palette("335c1f 476b29 61702e 244224 8c5c1f 70381f") / 255
SKINS = palette("d9a88a b37a57 6b452e") / 255
PLATES = palette("bf1414 1a3899 d9b31a 1a6638") / 255
METALS = palette("73757a 474a4d 9e9e99 334238") / 255
WHITE, GREY, DARK = palette("e0e0db 737578 0f0f12") / 255
STONE, BARK, LAMP_RED = palette("a39c8c 3d2e21 bf140f") / 255
GLOW = (2.0, 1.6, 0.9)  # brighter than white, so that it shines at dusk


class Light(NamedTuple):
    """Where the sun is (-1 left, 1 right), its colours, and how far one sees."""

    sun: float
    tint: tuple
    zenith: tuple
    horizon: tuple
    visibility: float
    dusk: bool = False


LIGHTS = (
    Light(1.0, (1.08, 1.02, 0.92), (0.26, 0.46, 0.80), (0.72, 0.84, 0.94), 1500.0),
    Light(0.7, (1.00, 0.97, 0.92), (0.42, 0.58, 0.80), (0.86, 0.88, 0.88), 700.0),
    Light(0.0, (0.80, 0.81, 0.84), (0.56, 0.58, 0.61), (0.74, 0.75, 0.77), 500.0),
    Light(0.2, (0.78, 0.78, 0.78), (0.62, 0.63, 0.64), (0.70, 0.70, 0.69), 90.0),
    Light(0.8, (0.62, 0.46, 0.42), (0.24, 0.24, 0.40), (0.88, 0.52, 0.34), 400.0, dusk=True),
)


class Street(NamedTuple):
    """What stands where across the street, in metres right of the camera; our side first."""

    kerbs: tuple
    fronts: tuple
    town: float  # 0: houses in a park, 1: walls of buildings
    end: float


def between(rng, low, high):
    return low + (high - low) * rng.random()


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


def colour_near(rng, colours, spread=0.06):
    """One of the colours, made lighter or darker and a little different."""
    return between(rng, 0.8, 1.2) * pick(rng, colours) + spread * (2 * rng.random(3) - 1)


def steps(rng, first, step, end):
    """Distances from `first` to `end`, one `step` apart; both are (low, high) ranges."""
    return np.arange(between(rng, *first), end, between(rng, *step)).tolist()


def channels(colour):
    return np.asarray(colour, "float32")[:, None, None]


def side_of(x):
    return 1 if x > 0 else -1


def noise_tile(rng):
    """Smooth noise around 0 that repeats every `TILE` samples: three octaves, bilinear."""
    tile = np.zeros((TILE, TILE), "float32")
    for cells, weight in ((8, 0.8), (32, 0.7), (128, 0.6)):
        grid = rng.random((cells, cells), dtype="float32") - 0.5
        place = np.arange(TILE, dtype="float32") * cells / TILE
        low, part = place.astype(int), place % 1
        grid = grid[low] * (1 - part)[:, None] + grid[(low + 1) % cells] * part[:, None]
        tile += weight * (grid[:, low] * (1 - part) + grid[:, (low + 1) % cells] * part)
    return tile


class Plane(NamedTuple):
    """A window of the image and the place (u, v), in metres, that each of its pixels shows."""

    canvas: "Canvas"
    window: tuple
    u: np.ndarray
    v: np.ndarray
    depth: np.ndarray

    def box(self, left, right, bottom, top):
        return (self.u > left) & (self.u < right) & (self.v > bottom) & (self.v < top)

    def ellipse(self, u, v, ru, rv):
        return ((self.u - u) / ru) ** 2 + ((self.v - v) / rv) ** 2 < 1

    def noise(self, grain):
        """Texture fixed to the plane, two samples of the noise tile per `grain` metres."""
        u, v = (
            (at * (2 / grain)).astype("int32") + int(start)
            for at, start in zip((self.u, self.v), self.canvas.rng.integers(TILE, size=2))
        )
        return self.canvas.tile[v % TILE, u % TILE]

    def visible(self, mask):
        return mask & (self.depth <= self.canvas.depth[self.window])

    def paint(self, mask, colour, brightness=1.0):
        """Paint what nothing nearer hides; the ground is nearer than what would lie below it."""
        seen, canvas = self.visible(mask), self.canvas
        if not seen.any():
            return
        colour = channels(colour) * np.asarray(brightness, "float32")
        np.copyto(canvas.image[:, *self.window], colour, where=seen)
        np.copyto(canvas.label[self.window], canvas.brush[0], where=seen)
        np.copyto(canvas.instances[self.window], canvas.brush[1], where=seen)
        np.copyto(canvas.depth[self.window], self.depth, where=seen)

    def darken(self, mask, strength):
        light = np.where(self.visible(mask), np.float32(1 - strength), np.float32(1))
        self.canvas.image[:, *self.window] *= light


class Canvas:
    """The image so far, the camera that sees it, the light on it and the current brush."""

    def __init__(self, rng, height, width):
        self.rng = rng
        self.height, self.width, self.focal = height, width, 1.0 * width
        self.horizon = height * between(rng, 0.40, 0.50)
        self.centre = width * between(rng, 0.36, 0.64)
        light = pick(rng, LIGHTS)
        tint = colour_near(rng, np.array([light.tint]), 0.04)
        self.light = light._replace(sun=light.sun * pick(rng, (-1, 1)), tint=tint)
        self.tile = noise_tile(rng)
        self.image = np.zeros((3, height, width), "float32")
        self.label = np.full((height, width), SKY, "uint8")
        self.instances = np.zeros((height, width), "uint16")
        self.depth = np.full((height, width), SKY_DEPTH, "float32")
        self.count = 0

    def begin(self, label):
        """What is painted from here on is of this class, and one new instance if it is a thing."""
        self.count += label >= CAR
        self.brush = np.uint8(label), np.uint16(self.count if label >= CAR else 0)

    def pixels(self, xs, heights, depths):
        """The window around these corners, and its pixels as seen from the vanishing point."""
        columns = [self.centre + self.focal * x / z for x in xs for z in depths]
        drop = [CAMERA_HEIGHT - height for height in heights]
        rows = [self.horizon + self.focal * y / z for y in drop for z in depths]
        rows, columns = (
            [min(max(int(end), 0), size) for end in (min(ends), max(ends) + 2)]
            for ends, size in ((rows, self.height), (columns, self.width))
        )
        right = np.arange(*columns, dtype="float32")[None] + (0.5 - self.centre)
        down = np.arange(*rows, dtype="float32")[:, None] + (0.5 - self.horizon)
        return (slice(*rows), slice(*columns)), right / self.focal, down / self.focal

    def facing(self, x, z, half_width, height):
        """A wall parallel to the image plane: u metres right of x, v metres above the ground."""
        window, right, down = self.pixels((x - half_width, x + half_width), (0, height), (z,))
        depth = np.full((1, 1), z, "float32")
        return Plane(self, window, right * z - x, CAMERA_HEIGHT - down * z, depth)

    def receding(self, x, near, far, height):
        """A wall along the street: u metres beyond `near`, v metres above the ground."""
        window, right, down = self.pixels((x,), (0, height), (max(near, NEAREST), far))
        depth = x / np.where(right * x > 0, right, x)
        return Plane(self, window, depth - near, CAMERA_HEIGHT - down * depth, depth)

    def lying(self, x, z, half_width, half_length):
        """A piece of the ground: u metres right of x, v metres beyond z."""
        ends = max(z - half_length, NEAREST), min(z + half_length, SKY_DEPTH)
        window, right, down = self.pixels((x - half_width, x + half_width), (0,), ends)
        depth = CAMERA_HEIGHT / np.maximum(down, 1e-6)
        return Plane(self, window, right * depth - x, depth - z, depth)

    def cast_shadow(self, x, z, half_width, half_length, strength=0.5):
        plane = self.lying(x, z, half_width, half_length)
        plane.darken(plane.ellipse(0, 0, half_width, half_length), strength)

    def sunlit(self, x):
        """How bright a wall beside the street at x is."""
        return 1.0 - 0.3 * self.light.sun * side_of(x)


def paint_sky(canvas):
    light, rng = canvas.light, canvas.rng
    window, right, down = canvas.pixels((-1e3, 1e3), (CAMERA_HEIGHT, 1e3), (1,))
    up = np.maximum(-2 * down, 0)
    sky = channels(light.horizon) * (1 - up + 0.15 * light.sun * right)
    sky += channels(light.zenith) * up
    far = 1 / (0.3 + up)
    clouds = Plane(canvas, window, right * far, 0.6 * far, None).noise(between(rng, 0.008, 0.016))
    cover = np.clip(1.8 * clouds + between(rng, -0.4, 0.4), 0, 0.8)
    cloud = channels(colour_near(rng, np.array([light.horizon])))
    canvas.image[:, *window] = sky + cover * (cloud - sky)


def paint_ground(canvas, street):
    """Asphalt with its markings, pavements with kerbs, grass, and the shadow of the houses."""
    rng, sun = canvas.rng, canvas.light.sun
    (left, right), (west, east) = sorted(street.kerbs), sorted(street.fronts)
    plane = canvas.lying(0.0, 0.0, 1e4, SKY_DEPTH)
    u, v, rough = plane.u, plane.v, 1 + 0.3 * plane.noise(0.06) + 0.25 * plane.noise(0.4)
    canvas.begin(ROAD)
    plane.paint(v > 0, colour_near(rng, METALS[:3], 0.02), rough)
    dashes = (abs(u - (left + right) / 2) < 0.07) & (v % 6 < 3)
    zebra = (abs(v - between(rng, 8, 40)) < 1.6) & (u % 1 < 0.5)
    plane.paint(dashes | zebra, WHITE, between(rng, 0.6, 1.0))
    walk = (u < left) | (u > right)
    slabs = (u % 0.8 < 0.05) | (v % 0.8 < 0.05)
    plane.paint(walk, colour_near(rng, [STONE], 0.04), 0.85 * rough - 0.15 * slabs)
    plane.paint(walk & (u > left - 0.2) & (u < right + 0.2), WHITE)
    if rng.random() > street.town:
        canvas.begin(VEGETATION)
        plane.paint((u < west + 1) | (u > east - 1), pick(rng, LEAVES), 0.6 + rough)
    reach = between(rng, 1, 9) * (0.6 + plane._replace(u=0 * v).noise(1.6))
    inwards = u - west if sun < 0 else east - u
    plane.darken((inwards < reach) & (sun != 0), 0.4)


def paint_backdrop(canvas, street):
    """The end of the street: far houses or trees with an uneven skyline."""
    rng, built = canvas.rng, canvas.rng.random() < street.town
    canvas.begin(BUILDING if built else VEGETATION)
    plane = canvas.facing(0.0, street.end, 400.0, 30.0)
    outline = plane._replace(u=plane.u - plane.u % 9 if built else plane.u, v=0 * plane.v)
    skyline = between(rng, 6, 14) * (1 + outline.noise(18.0 if built else 1.2))
    colour = colour_near(rng, PAINTS[:4] if built else LEAVES)
    plane.paint(plane.v < skyline, colour, 1 + 0.5 * plane.noise(1.6))


def paint_facade(plane, outline, brightness, wall, pitch, storey, glazed):
    """A wall with rows of windows, some of them lit at dusk."""
    light = plane.canvas.light
    plane.paint(outline, wall, brightness * (1 + 0.25 * plane.noise(0.2)))
    across, up = plane.u % pitch, plane.v % storey
    pane = (abs(across / pitch - 0.5) < glazed / 2) & (abs(up / storey - 0.55) < 0.3)
    mood = plane._replace(u=plane.u - across, v=plane.v - up).noise(0.62)
    plane.paint(outline & pane, light.horizon, 0.5 + 0.8 * mood)
    if light.dusk:
        plane.paint(outline & pane & (mood > 0.25), GLOW)


def paint_house(canvas, x, near, length, height, rise):
    """The wall along the street, perhaps with a poster, the wall that faces us, and the roof."""
    rng, middle = canvas.rng, x + 6.0 * side_of(x)
    air = np.array(pick(rng, (STONE, canvas.light.horizon)))
    wall, roof = (0.5 * colour_near(rng, PAINTS) + 0.5 * air for _ in range(2))
    style = wall, between(rng, 1.6, 3.2), between(rng, 2.8, 3.6), between(rng, 0.3, 0.9)
    flank = canvas.receding(x, near, near + length, height + rise)
    gable = height + rise * (1 - abs(2 * flank.u / length - 1))
    flank.paint(flank.box(0, length, -1, gable), roof, 0.5)
    paint_facade(flank, flank.box(0, length, -1, gable - 0.3), canvas.sunlit(x), *style)
    poster = flank.box(2, 2 + 3 * (rng.random() < 0.3), 1.8, 3.6)
    flank.paint(poster, colour_near(rng, PLATES), 1 + 0.5 * flank.noise(0.4))
    if near > NEAREST:
        front = canvas.facing(middle, near, 6.0, height)
        paint_facade(front, front.box(-6, 6, -1, height), 0.85, *style)
        ridge = canvas.facing(middle, near + length / 2, 6.0, height + rise)
        ridge.paint(ridge.box(-6, 6, -1, height + rise), roof, 0.8 + 0.3 * (ridge.v % 0.5))


def paint_houses(canvas, street, x):
    rng, near = canvas.rng, between(canvas.rng, -6, 3)
    tall = between(rng, 4, 6) + 8 * street.town
    canvas.begin(BUILDING)
    while near < street.end:
        length, setback = between(rng, 7, 18), x * between(rng, 1.0, 1.15)
        if rng.random() < 0.45 + 0.5 * street.town:
            height, rise = tall * between(rng, 0.7, 1.4), pick(rng, (0.0, 3.0))
            paint_house(canvas, setback, near, length, height, rise)
        near += length + (0.0 if rng.random() < street.town else between(rng, 2, 10))


def paint_tree(canvas, x, z):
    rng, sun = canvas.rng, canvas.light.sun
    canvas.begin(VEGETATION)
    crown, trunk = between(rng, 1.2, 2.5), between(rng, 1.8, 3.0)
    plane = canvas.facing(x, z, 1.2 * crown, trunk + 2.6 * crown)
    plane.paint((abs(plane.u) < 0.15) & (plane.v < trunk + 1), BARK, 1 + 2 * sun * plane.u)
    bumps = plane.noise(0.16)
    reach = (plane.u / crown) ** 2 + ((plane.v - trunk - 1.1 * crown) / (1.3 * crown)) ** 2
    light = 0.9 + 0.3 * sun * plane.u / crown + 0.9 * bumps
    plane.paint(reach + 0.9 * bumps < 0.85, colour_near(rng, LEAVES), light)
    canvas.cast_shadow(x - sun * crown, z, crown, 1.2, 0.35)


class CarShape(NamedTuple):
    paint: np.ndarray
    length: float
    roof: float
    belt: float  # where the windows begin
    bonnet: float  # how far the cabin stands behind the end that we see
    oncoming: bool


def choose_car(rng, oncoming):
    roof = pick(rng, (1.4, 1.45, 1.5, 1.6, 2.1))
    bonnet = between(rng, 0.9, 1.2) if oncoming else between(rng, 0.1, 0.7)
    paint = colour_near(rng, PAINTS, 0.08)
    return CarShape(paint, between(rng, 3.8, 4.8), roof, 0.58 * roof, bonnet, oncoming)


def paint_car_side(plane, car, brightness):
    """A car along u, from the end that we see."""
    start, end = car.bonnet, car.length - (0.4 if car.oncoming else 1.0)
    slope = 0.7 * np.maximum(plane.v - car.belt, 0)
    cabin = plane.box(start, end - slope, 0.28, car.roof)
    body = plane.box(0.0, car.length, 0.28, car.belt) | cabin
    plane.paint(body, car.paint, brightness * (0.75 + 0.3 * plane.v))
    panes = plane.box(start + 0.25, end - 0.2 - slope, car.belt, car.roof - 0.12)
    plane.paint(panes & (abs(plane.u - car.length / 2) > 0.06), plane.canvas.light.horizon, 0.25)
    for wheel in (0.8, car.length - 0.8):
        plane.paint(plane.ellipse(wheel, 0.33, 0.33, 0.33), DARK)
        plane.paint(plane.ellipse(wheel, 0.33, 0.18, 0.18), GREY)


def paint_car_end(canvas, x, z, car):
    """The end that we see: the cabin with its window, then body, tyres and lamps."""
    light = canvas.light
    cabin = canvas.facing(x, z + car.bonnet, 0.9, car.roof)
    cabin.paint(cabin.box(-0.9, 0.9, 0.3, car.roof), car.paint, 0.95)
    pane = cabin.box(-0.76, 0.76, car.belt, car.roof - 0.13)
    cabin.paint(pane, light.horizon, 0.2 + 0.2 * cabin.v)
    body = canvas.facing(x, z, 0.9, car.belt)
    body.paint((abs(abs(body.u) - 0.7) < 0.12) & (body.v < 0.4), DARK)
    body.paint(body.box(-0.9, 0.9, 0.28, car.belt), car.paint, 0.6 + 0.4 * body.v)
    body.paint(body.box(-0.26, 0.26, 0.45, 0.57), WHITE)
    lamps = (abs(abs(body.u) - 0.72) < 0.13) & (abs(body.v - 0.68) < 0.09)
    body.paint(lamps, LAMP_RED if not car.oncoming else GLOW if light.dusk else WHITE)


def paint_car(canvas, x, z, oncoming):
    canvas.begin(CAR)
    car = choose_car(canvas.rng, oncoming)
    half = car.length / 2
    canvas.cast_shadow(x - 0.3 * canvas.light.sun, z + half, 1.25, half + 0.3)
    if abs(x) > 0.9:
        side = canvas.receding(x - 0.9 * side_of(x), z, z + car.length, car.roof)
        paint_car_side(side, car, canvas.sunlit(x))
    paint_car_end(canvas, x, z, car)


def paint_crossing_car(canvas, x, z):
    canvas.begin(CAR)
    car = choose_car(canvas.rng, oncoming=False)
    half, direction = car.length / 2, pick(canvas.rng, (-1, 1))
    canvas.cast_shadow(x, z + 0.3, half, 0.9)
    plane = canvas.facing(x, z, half, car.roof)
    paint_car_side(plane._replace(u=half + direction * plane.u), car, 0.9)


def paint_person(canvas, x, z):
    rng, sun = canvas.rng, canvas.light.sun
    canvas.begin(PERSON)
    size, stride = between(rng, 0.7, 1.1), between(rng, 0.02, 0.25)
    plane = canvas.facing(x, z, 0.45 * size, 1.75 * size)
    plane = plane._replace(u=plane.u / size, v=plane.v / size)
    coat, trousers, hair = (colour_near(rng, PAINTS) for _ in range(3))
    light, out = 0.9 + sun * plane.u, abs(plane.u)
    plane.paint(
        (abs(out - 0.08 - stride * (0.85 - plane.v)) < 0.08) & (plane.v < 0.9), trousers, light
    )
    plane.paint((abs(out - 0.24) < 0.055) & (abs(plane.v - 1.1) < 0.33), coat, 0.75 * light)
    plane.paint(plane.ellipse(0, 1.12, 0.19, 0.38) | plane.box(-0.16, 0.16, 0.8, 1.3), coat, light)
    plane.paint(plane.ellipse(0, 1.6, 0.12, 0.15), hair, 0.5)
    plane.paint(plane.ellipse(0, 1.57, 0.1, 0.12), pick(rng, SKINS))
    canvas.cast_shadow(x - 0.5 * sun, z, 0.6, 0.25)


def paint_pole(canvas, x, z, height, radius):
    canvas.begin(POLE)
    radius = max(radius, 0.55 * z / canvas.focal)
    plane = canvas.facing(x, z, radius, height)
    light = 0.85 + 0.4 * canvas.light.sun * plane.u / radius
    plane.paint((abs(plane.u) < radius) & (plane.v < height), pick(canvas.rng, METALS), light)


def paint_lamp(canvas, x, z):
    """A street lamp whose arm reaches over the road."""
    height, thick = between(canvas.rng, 4.5, 7.0), max(0.05, 0.55 * z / canvas.focal)
    paint_pole(canvas, x, z, height, 0.08)
    plane = canvas.facing(x - 0.6 * side_of(x), z, 0.8, height + thick)
    plane.paint((abs(plane.v - height) < thick) & (abs(plane.u) < 0.6), GREY)
    head = plane.ellipse(-0.5 * side_of(x), height - 0.1, 0.3, 0.12)
    plane.paint(head, GLOW if canvas.light.dusk else GREY)


SIGN_SHAPES = (
    lambda u, v: u**2 + v**2,
    lambda u, v: np.maximum(abs(v), 0.5 + abs(u) + 0.5 * v),
    lambda u, v: np.maximum(abs(u), abs(v)),
    lambda u, v: np.maximum(abs(u) / 1.8, abs(v)),
)


def paint_sign(canvas, x, z):
    rng = canvas.rng
    height, size = between(rng, 2.0, 2.8), between(rng, 0.32, 0.45)
    paint_pole(canvas, x, z, height + size, 0.04)
    canvas.begin(SIGN)
    plane = canvas.facing(x, z - 0.05, 2 * size, height + size)
    shape = pick(rng, SIGN_SHAPES)(plane.u / size, (plane.v - height) / size)
    plate = colour_near(rng, (*PLATES, GREY))
    plane.paint(shape < 1, plate)
    plane.paint(shape < 0.6, pick(rng, (WHITE, WHITE, plate)))


def paint_pavement(canvas, street, kerb, front):
    """All that stands between a kerb and the houses behind it."""
    rng, out = canvas.rng, side_of(kerb)
    for z in steps(rng, (6, 20), (18, 28), street.end):
        paint_lamp(canvas, kerb + 0.4 * out, z)
    for z in steps(rng, (4, 16), (7, 16), street.end):
        if rng.random() < 0.8 - 0.6 * street.town:
            paint_tree(canvas, kerb + 0.9 * out, z)
    for _ in range(int(rng.integers(4))):
        paint_sign(canvas, kerb + 0.4 * out, between(rng, 6, 30))
    for _ in range(int(rng.integers(7))):
        paint_person(canvas, between(rng, kerb + 0.6 * out, front), between(rng, 5, 26))


def paint_traffic(canvas, street):
    """Parked cars along both kerbs, moving ones in both lanes, sometimes someone across."""
    rng = canvas.rng
    for kerb in street.kerbs:
        crowd = rng.random()
        for z in steps(rng, (4, 10), (5.5, 7.5), 60):
            if rng.random() < crowd:
                paint_car(canvas, kerb - 1.1 * side_of(kerb), z, oncoming=kerb == street.kerbs[1])
    if rng.random() < 0.6:
        paint_car(canvas, between(rng, -0.3, 0.3), between(rng, 7, 40), oncoming=False)
    if rng.random() < 0.6:
        paint_car(canvas, -3.4 * side_of(street.kerbs[0]), between(rng, 8, 50), oncoming=True)
    if rng.random() < 0.25:
        paint_crossing_car(canvas, between(rng, -5, 5), between(rng, 12, 35))
    if rng.random() < 0.4:
        paint_person(canvas, between(rng, *street.kerbs), between(rng, 8, 25))


def photograph(canvas):
    """From surface colours to what a sensor records: light, haze, a slight blur, noise."""
    light, rng = canvas.light, canvas.rng
    image = np.where(canvas.label == SKY, canvas.image, canvas.image * channels(light.tint))
    image = np.minimum(image, 1.2)
    haze = canvas.depth / (canvas.depth + light.visibility)
    image += haze * (channels(light.horizon) - image)
    for rows in (image.swapaxes(0, 1), image.swapaxes(0, 2)):
        rows[1:-1] = 0.6 * rows[1:-1] + 0.2 * (rows[:-2] + rows[2:])
    grain = rng.integers(256, size=(2, *image.shape), dtype="uint8")
    grain = np.subtract(*grain, dtype="float32") / 256
    image += between(rng, 0.02, 0.08) * (0.4 + image) * grain
    return np.clip(255 * image, 0, 255).astype("uint8").transpose(1, 2, 0).copy()


def void_band(label, instances, depth):
    """One pixel where two objects meet, on the farther one, so that thin things stay whole."""
    void = np.zeros(label.shape, bool)
    for one, other in (np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]):
        edge = (label[one] != label[other]) | (instances[one] != instances[other])
        void[one] |= edge & (depth[one] >= depth[other])
        void[other] |= edge & (depth[one] < depth[other])
    return void


def renumber(instances, count):
    """Ids 1 … n of the instances that are still visible."""
    present = np.zeros(count + 1, "uint16")
    present[instances] = 1
    present[0] = 0
    return (np.cumsum(present, dtype="uint16") * present)[instances]


def draw_scene(seed, height=HEIGHT, width=WIDTH):
    """Draw one street.

    All numbers come from `seed` by additions, multiplications, divisions and comparisons (no
    sine, exponential or normal distribution), so that a seed gives the same image everywhere.

    Args:
        seed: An integer or a tuple of integers, for `numpy.random.default_rng`.
        height, width: Size of the image in pixels.

    Returns:
        A dictionary of `image` (height, width, 3) uint8 and, (height, width), `label` uint8
        (void: 255), `instances` uint16 (1 … n for cars, persons, poles and signs, else 0) and
        `depth` float32 in metres.

    Example:

    >>> scene = draw_scene(0, height=30, width=40)
    >>> scene["image"].shape, scene["label"].shape, scene["depth"].dtype
    ((30, 40, 3), (30, 40), dtype('float32'))
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(rng, height, width)
    walk, kerbs = between(rng, 2.2, 4.5), pick(rng, ((3.9, -7.2), (-3.9, 7.2)))
    fronts = tuple(kerb + walk * side_of(kerb) for kerb in kerbs)
    street = Street(kerbs, fronts, rng.random(), between(rng, 60, 150))
    paint_sky(canvas)
    paint_ground(canvas, street)
    paint_backdrop(canvas, street)
    for kerb, front in zip(street.kerbs, street.fronts):
        paint_houses(canvas, street, front)
        paint_pavement(canvas, street, kerb, front)
    paint_traffic(canvas, street)
    void = void_band(canvas.label, canvas.instances, canvas.depth)
    return {
        "image": photograph(canvas),
        "label": np.where(void, np.uint8(VOID), canvas.label),
        "instances": renumber(np.where(void, np.uint16(0), canvas.instances), canvas.count),
        "depth": canvas.depth,
    }
