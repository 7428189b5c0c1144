"""What the screens and commands show, as plain values: folds over a history, without a terminal."""
