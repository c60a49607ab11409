"""Where accounts, calls and charges are kept."""
