"""Reads the fences of a prompt back as strictly as can be: a fence ends at its own mark and nowhere else."""

from __future__ import annotations

import re

_OPENING = re.compile(r"^<(\w+) ([0-9a-f]{6})>\n", re.M)


def read_fences(prompt: str) -> tuple[list[tuple[str, str]], str]:
    """Name and content of each fence in `prompt`, in order, and what stands outside of all."""
    found: list[tuple[str, str]] = []
    outside, place = "", 0
    while (opening := _OPENING.search(prompt, place)) is not None:
        closing = f"\n</{opening[1]} {opening[2]}>"
        end = prompt.find(closing, opening.end())
        if end < 0:
            break
        found.append((opening[1], prompt[opening.end() : end]))
        outside += prompt[place : opening.start()]
        place = end + len(closing)
    return found, outside + prompt[place:]
