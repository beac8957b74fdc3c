"""The workflows that docs/ci.md shows, run."""
