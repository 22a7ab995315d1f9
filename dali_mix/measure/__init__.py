"""What the benchmarks measure: contestants, their checks, and the arithmetic on their times.

Shared by bench/, which is not installed, and `dali-mix bench`, which is. How contestants take turns
is in `timing` and, for loaders that keep running, in `segments`.
"""
