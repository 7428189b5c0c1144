"""What people touch: the command line and the screen. Reads sessions only through their files."""
