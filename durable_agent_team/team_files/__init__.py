"""Team files: YAML in, a checked start input out."""
