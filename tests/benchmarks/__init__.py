"""Measurements against other samplers. Run: python -m tests.benchmarks.compare_samplers --help."""
