"""What the benchmarks measure: contestants, their checks, and the arithmetic on their times.

`dali-mix bench`, which is installed, and bench/, which is not, share this room. `timing` measures
contestants that are calls; `segments` measures loaders that keep running.
"""
