"""The native library: where it is, whether it fits the installed DALI, and how it is loaded."""
