"""The planted benchmark: does an audit find a known change, with how many texts, and what do other methods find on the same inputs?

.venv/bin/python -m benchmarks.planted --help
"""
