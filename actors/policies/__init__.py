"""Decisions: pure modules, without I/O or clock. Time comes in, commands and deadlines come out."""
