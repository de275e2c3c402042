"""How large a clip's other forms are, in pixels. Pure. Never larger than the source; even, as yuv420p needs; vertical is 9:16."""

from libs.common.domain.values import VerticalFit

Size = tuple[int, int]
"""Width and height."""

TALL, WIDE = 16, 9
TALLEST = 1920
WIDEST_GIF, TALLEST_GIF = 480, 1080
BLUR = 8
"""By so much the background is smaller while it is blurred: it costs less, and blurs more."""


def even(value: float) -> int:
    return max(2, round(value / 2) * 2)


def shorter_side(size: Size, pixels: int) -> Size:
    """Its shorter side as long as this, or as it is: 720p is 720 high in landscape, 720 wide in portrait."""
    scale = min(1.0, pixels / min(size))
    return _at_most(size[0] * scale, size[0]), _at_most(size[1] * scale, size[1])


def _at_most(value: float, limit: int) -> int:
    return min(even(value), max(2, limit // 2 * 2))


def vertical_canvas(size: Size, fit: VerticalFit) -> Size:
    """9:16: for `crop` the largest that lies in the picture, else the smallest that holds it; 1080 x 1920 at most."""
    width, height = size
    along = (min if fit == "crop" else max)(height, width * TALL / WIDE)
    tall = max(2, min(TALLEST, int(along)) // 2 * 2)
    return even(tall * WIDE / TALL), tall


def inside(size: Size, canvas: Size) -> Size:
    """As large as fits into the canvas."""
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return min(even(size[0] * scale), canvas[0]), min(even(size[1] * scale), canvas[1])


def filling(size: Size, canvas: Size) -> Size:
    """As small as covers the canvas."""
    scale = max(canvas[0] / size[0], canvas[1] / size[1])
    return max(even(size[0] * scale), canvas[0]), max(even(size[1] * scale), canvas[1])


def blurred_size(canvas: Size) -> Size:
    return even(canvas[0] / BLUR), even(canvas[1] / BLUR)


def gif_size(size: Size) -> Size:
    scale = min(1.0, WIDEST_GIF / size[0], TALLEST_GIF / size[1])
    return even(size[0] * scale), even(size[1] * scale)
