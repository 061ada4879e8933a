"""Benchmarks that check the project's claims: `python -m benchmarks.speed`, `python -m benchmarks.quality`."""
