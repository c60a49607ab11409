"""What a run looks like on a terminal and in a report."""
