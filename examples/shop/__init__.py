"""A small shop whose memory is watched by its tests."""
