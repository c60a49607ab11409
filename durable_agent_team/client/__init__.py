"""Start, watch and steer runs from Python."""
