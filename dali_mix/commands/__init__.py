"""The commands that a user types: `dali-mix preview | bench | check | doctor`."""
