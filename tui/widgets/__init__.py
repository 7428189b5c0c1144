"""Widgets know how to draw; they learn nothing by themselves."""
