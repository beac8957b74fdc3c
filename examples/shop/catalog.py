"""The catalog's pictures."""

from collections.abc import Iterable, Iterator

PICTURE_SIDE = 1024
THUMBNAIL_SIDE = 128
SHRINK = PICTURE_SIDE // THUMBNAIL_SIDE


def decode_picture(number: int) -> bytearray:
    """Return the picture as grey pixels, one byte each: 1 MiB."""
    return bytearray([number % 256]) * (PICTURE_SIDE * PICTURE_SIDE)


def shrink(picture: bytearray) -> bytes:
    """Return every eighth pixel of every eighth row: 16 KiB."""
    rows = (
        picture[row * PICTURE_SIDE : (row + 1) * PICTURE_SIDE : SHRINK]
        for row in range(0, PICTURE_SIDE, SHRINK)
    )
    return b"".join(rows)


def make_thumbnails(numbers: Iterable[int]) -> list[bytes]:
    """Return the thumbnails of the pictures with these numbers."""
    # Every picture is in memory before the first is shrunk. `stream_thumbnails` is the cure.
    pictures = [decode_picture(number) for number in numbers]
    return [shrink(picture) for picture in pictures]


def stream_thumbnails(numbers: Iterable[int]) -> Iterator[bytes]:
    """Yield the thumbnails of the pictures with these numbers, holding one picture at a time."""
    for number in numbers:
        yield shrink(decode_picture(number))
