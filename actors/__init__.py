"""The parts that act: sessions, detectors, recognizers, voices, and what starts them."""
