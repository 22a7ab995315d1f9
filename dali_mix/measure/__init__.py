"""What the benchmarks measure: contestants, their checks, and the arithmetic on their times.

Shared by bench/, which is not installed, and `dali-mix bench`, which is; how contestants alternate
is in `dali_mix._harness` and, for loaders that keep running, in `dali_mix.measure.segments`.
"""
