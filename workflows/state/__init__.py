"""What a run knows of itself, and what it shows."""
