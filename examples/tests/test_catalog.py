import pytest
from shop.catalog import decode_picture, make_thumbnails, shrink, stream_thumbnails


def test_a_thumbnail_has_128_rows_of_128_pixels():
    assert len(shrink(decode_picture(7))) == 128 * 128


@pytest.mark.limit_memory("24 MB")
def test_thumbnails_stay_small():
    thumbnails = make_thumbnails(range(30))
    assert len(thumbnails) == 30


@pytest.mark.limit_memory("24 MB")
def test_streamed_thumbnails_stay_small():
    assert sum(1 for _ in stream_thumbnails(range(30))) == 30


@pytest.mark.parametrize("count", [1, 4, 16])
def test_thumbnails_of_a_page(count):
    assert len(make_thumbnails(range(count))) == count
