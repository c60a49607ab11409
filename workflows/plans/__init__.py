"""Plans and changes of plans."""
