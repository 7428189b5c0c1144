"""The loop: propose, measure, guard, judge, record. Imports `state`, never `tui`."""
