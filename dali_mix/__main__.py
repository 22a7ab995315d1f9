"""`python -m dali_mix`: the same as the `dali-mix` command."""

import sys

from dali_mix.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
