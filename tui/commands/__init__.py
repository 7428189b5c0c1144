"""One module per family of commands; `tui/cli.py` imports each when it is called."""
